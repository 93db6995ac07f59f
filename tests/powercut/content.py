"""Blobs and manifests that can be recreated from the ledger."""

import hashlib
import json
import random

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def blob_bytes(seed, size):
    return random.Random(seed).randbytes(size)


def digest_of(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def descriptor(media_type, digest, size):
    return {"mediaType": media_type, "digest": digest, "size": size}


def image(config, layers, note, subject=None):
    """Renders an image manifest over blobs given as (digest, size)."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, *config),
        "layers": [descriptor(LAYER, *layer) for layer in layers],
        "annotations": {"note": note},
    }
    if subject:
        manifest["artifactType"] = "application/vnd.example.signature"
        manifest["subject"] = descriptor(MANIFEST, *subject)
    return json.dumps(manifest, indent=1)


def index(children, note):
    """Renders an image index over manifests given as (digest, size)."""
    return json.dumps({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [descriptor(MANIFEST, *child) for child in children],
        "annotations": {"note": note},
    }, indent=1)
