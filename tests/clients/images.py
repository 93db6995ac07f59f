#!/usr/bin/env python3
"""Creates the images that clients push, and checks what they pull.

    images.py make FOLDER             writes one OCI layout of each kind, and FOLDER/digests.sh
    images.py verify LAYOUT DIGEST    LAYOUT names DIGEST and has everything it leads to, byte for byte
    images.py push LAYOUT HOST REPOSITORY
                                      over plain HTTP, for clients that can pull but not push a layout
    images.py config-of HOST REPOSITORY TAG
                                      the digest of the config that the registry's manifest names
    images.py has-content FOLDER DIGEST [DIGEST ...]
                                      some file under FOLDER has one of the digests

Layouts of images have a manifest.json, so that `docker load` reads them as well.
"""

import gzip
import hashlib
import http.client
import json
import os
import platform
import random
import sys
import tarfile

TAG = "v1"
MEBIBYTE = 1024 * 1024
SMALL_LAYER_BYTES = 200_000
LARGE_LAYER_BYTES = 300 * MEBIBYTE

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = OCI_LAYER_TAR + "+gzip"
EXAMPLE_SBOM = "application/vnd.example.sbom.v1+json"
EXAMPLE_SIGNATURE = "application/vnd.example.signature.v1"

GO_NAMES_OF_MACHINES = {
    "x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386",
}


class RandomBytes:
    """A readable of `size` bytes that depend only on the seed."""

    def __init__(self, seed, size):
        self.source = random.Random(seed)
        self.left = size

    def read(self, wanted):
        wanted = min(wanted, self.left)
        self.left -= wanted
        return self.source.getrandbits(8 * wanted).to_bytes(wanted, "little") if wanted else b""


class HashingWriter:
    """Passes bytes on to `target` and hashes them."""

    def __init__(self, target):
        self.target = target
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data):
        self.hash.update(data)
        self.size += len(data)
        return self.target.write(data)

    def flush(self):
        self.target.flush()

    def digest(self):
        return "sha256:" + self.hash.hexdigest()


class Layout:
    """An OCI image layout on disk."""

    def __init__(self, folder):
        self.folder = folder
        self.blobs = os.path.join(folder, "blobs", "sha256")
        os.makedirs(self.blobs)

    def path(self, digest):
        return os.path.join(self.blobs, digest.split(":", 1)[1])

    def blob(self, media_type, data):
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        with open(self.path(digest), "wb") as file:
            file.write(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def json(self, media_type, value):
        return self.blob(media_type, json.dumps(value, indent=1).encode())

    def layer(self, seed, size):
        """Writes a gzipped tar of one random file; returns its descriptor and the digest of the tar."""
        unnamed = os.path.join(self.blobs, "unnamed")
        with open(unnamed, "wb") as file:
            packed = HashingWriter(file)
            # Level 0: random bytes do not shrink, and trying it with 300 MB takes long.
            with gzip.GzipFile(filename="", mode="wb", compresslevel=0, fileobj=packed, mtime=0) as zipped:
                bare = HashingWriter(zipped)
                with tarfile.open(fileobj=bare, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
                    entry = tarfile.TarInfo(f"content-{seed}")
                    entry.size = size
                    archive.addfile(entry, RandomBytes(seed, size))
        os.rename(unnamed, self.path(packed.digest()))
        return {"mediaType": OCI_LAYER_GZIP, "digest": packed.digest(), "size": packed.size}, bare.digest()

    def image(self, seed, layer_sizes, machine, extra_layers=()):
        layers, bare_digests = [], []
        for number, size in enumerate(layer_sizes):
            layer, bare = self.layer(f"{seed}-{number}", size)
            layers.append(layer)
            bare_digests.append(bare)
        for layer in extra_layers:
            layers.append(layer)
            bare_digests.append(layer["digest"])
        config = self.json(OCI_CONFIG, {
            **machine, "config": {"Cmd": ["/content"]},
            "rootfs": {"type": "layers", "diff_ids": bare_digests},
            "history": [{"created_by": "images.py"} for _ in layers],
        })
        manifest = self.json(OCI_MANIFEST, {
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers,
        })
        return manifest, config, layers, bare_digests

    def artifact(self, artifact_type, data, subject=None):
        value = {
            "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": artifact_type,
            "config": self.blob(OCI_EMPTY, b"{}"),
            "layers": [self.blob(artifact_type, data)],
            "annotations": {"org.example.kind": artifact_type},
        }
        if subject:
            value["subject"] = subject
        return self.json(OCI_MANIFEST, value)

    def finish(self, tagged, untagged=()):
        named = {**tagged, "annotations": {"org.opencontainers.image.ref.name": TAG}}
        self.write("index.json", {
            "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [named, *untagged],
        })
        self.write("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def docker_names(self, images):
        """Names each (name, config, layers) for `docker load`."""
        def in_layout(descriptor):
            return "blobs/" + descriptor["digest"].replace(":", "/")
        self.write("manifest.json", [{
            "Config": in_layout(config), "RepoTags": [name], "Layers": [in_layout(layer) for layer in layers],
        } for name, config, layers in images])

    def write(self, name, value):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file)


def this_machine():
    machine = platform.machine()
    return {"os": "linux", "architecture": GO_NAMES_OF_MACHINES.get(machine, machine)}


def machines_of_the_index():
    """Returns this machine's platform and two others."""
    here = this_machine()
    others = [
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
        {"os": "linux", "architecture": "arm", "variant": "v7"},
    ]
    return [here, *(other for other in others if other["architecture"] != here["architecture"])][:3]


def make_image(folder, kind, sizes, facts):
    layout = Layout(os.path.join(folder, kind))
    manifest, config, layers, bare = layout.image(kind, sizes, this_machine())
    layout.finish(manifest)
    layout.docker_names([(f"{kind}:{TAG}", config, layers)])
    name = kind.upper()
    facts[f"DIGEST_{name}"] = manifest["digest"]
    facts[f"DIGEST_{name}_CONFIG"] = config["digest"]
    facts[f"DIGEST_{name}_LAYER"] = layers[0]["digest"]
    facts[f"DIGEST_{name}_LAYER_BARE"] = bare[0]


def make_index(folder, facts):
    layout = Layout(os.path.join(folder, "index"))
    children, named = [], []
    for number, machine in enumerate(machines_of_the_index()):
        manifest, config, layers, bare = layout.image(f"index-{number}", [SMALL_LAYER_BYTES, 500], machine)
        children.append({**manifest, "platform": machine})
        named.append((f"index:{number}", config, layers))
        facts[f"DIGEST_INDEX_{number}"] = manifest["digest"]
        facts[f"CONFIG_INDEX_{number}"] = config["digest"]
        facts[f"LAYERS_INDEX_{number}"] = " ".join(bare)
        facts[f"PLATFORM_{number}"] = f"linux/{machine['architecture']}"
    index = layout.json(OCI_INDEX, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})
    layout.finish(index)
    layout.docker_names(named)
    facts["DIGEST_INDEX"] = index["digest"]


def make_empty(folder, facts):
    """An image with one layer of 0 bytes."""
    layout = Layout(os.path.join(folder, "empty"))
    nothing = layout.blob(OCI_LAYER_TAR, b"")
    manifest, _, _, _ = layout.image("empty", [1000], this_machine(), extra_layers=[nothing])
    layout.finish(manifest)
    facts["DIGEST_EMPTY"], facts["DIGEST_EMPTY_LAYER"] = manifest["digest"], nothing["digest"]


def make_referrers(folder, facts):
    """An image with an SBOM and a signature, and a signature of the SBOM."""
    layout = Layout(os.path.join(folder, "referrers"))
    subject, _, _, _ = layout.image("referrers", [SMALL_LAYER_BYTES], this_machine())
    sbom = layout.artifact(EXAMPLE_SBOM, b'{"packages": []}', subject)
    signature = layout.artifact(EXAMPLE_SIGNATURE, b"signed", subject)
    of_the_sbom = layout.artifact(EXAMPLE_SIGNATURE, b"signed too", sbom)
    layout.finish(subject, [sbom, signature, of_the_sbom])
    facts["DIGEST_REFERRERS"], facts["DIGEST_REFERRERS_SBOM"] = subject["digest"], sbom["digest"]
    facts["DIGEST_REFERRERS_SIGNATURE"] = signature["digest"]
    facts["DIGEST_REFERRERS_OF_SBOM"] = of_the_sbom["digest"]


def make(folder):
    os.makedirs(folder)
    facts = {}
    make_image(folder, "image", [SMALL_LAYER_BYTES, 1000], facts)
    make_image(folder, "large", [LARGE_LAYER_BYTES], facts)
    make_index(folder, facts)
    make_empty(folder, facts)
    make_referrers(folder, facts)
    with open(os.path.join(folder, "digests.sh"), "w", encoding="utf-8") as file:
        for name, value in facts.items():
            file.write(f"{name}='{value}'\n")


def digest_of_file(path):
    hashed = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(MEBIBYTE):
            hashed.update(data)
    return "sha256:" + hashed.hexdigest()


def verify(folder, wanted):
    with open(os.path.join(folder, "index.json"), encoding="utf-8") as file:
        named = {descriptor["digest"]: descriptor for descriptor in json.load(file)["manifests"]}
    if wanted not in named:
        sys.exit(f"{folder} holds {list(named)}, not {wanted}")
    waiting, seen = [named[wanted]], set()
    while waiting:
        descriptor = waiting.pop()
        digest = descriptor["digest"]
        if digest in seen:
            continue
        seen.add(digest)
        path = os.path.join(folder, "blobs", *digest.split(":", 1))
        if not os.path.exists(path):
            sys.exit(f"{digest} is missing in {folder}")
        if (size := os.path.getsize(path)) != descriptor["size"]:
            sys.exit(f"{path} has {size} bytes, not {descriptor['size']}")
        if (found := digest_of_file(path)) != digest:
            sys.exit(f"{path} has digest {found}")
        if descriptor["mediaType"] in (OCI_MANIFEST, OCI_INDEX):
            waiting.extend(references(path))
    print(f"{wanted}: {len(seen)} blobs are what was pushed")


def references(path):
    with open(path, encoding="utf-8") as file:
        value = json.load(file)
    descriptors = [*value.get("manifests", []), *value.get("layers", [])]
    if "config" in value:
        descriptors.append(value["config"])
    return descriptors


def push(folder, host, repository):
    connection = http.client.HTTPConnection(host)

    def ask(method, path, status, body=None, headers=None):
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != status:
            sys.exit(f"{method} {path}: {answer.status}, not {status}: {said[:500]}")
        return answer

    def push_content(descriptor, reference=None):
        path = os.path.join(folder, "blobs", *descriptor["digest"].split(":", 1))
        with open(path, "rb") as file:
            if descriptor["mediaType"] in (OCI_MANIFEST, OCI_INDEX):
                for reached in references(path):
                    push_content(reached)
                place = f"/v2/{repository}/manifests/{reference or descriptor['digest']}"
                ask("PUT", place, 201, file.read(), {"Content-Type": descriptor["mediaType"]})
            else:
                place = ask("POST", f"/v2/{repository}/blobs/uploads/", 202).headers["Location"]
                place += ("&" if "?" in place else "?") + "digest=" + descriptor["digest"]
                ask("PUT", place, 201, file, {"Content-Length": str(descriptor["size"])})

    with open(os.path.join(folder, "index.json"), encoding="utf-8") as file:
        push_content(json.load(file)["manifests"][0], TAG)


def config_of(host, repository, tag):
    connection = http.client.HTTPConnection(host)
    accept = {"Accept": f"{OCI_MANIFEST}, {DOCKER_MANIFEST}"}
    connection.request("GET", f"/v2/{repository}/manifests/{tag}", headers=accept)
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(f"GET {repository}:{tag}: {answer.status}")
    print(json.load(answer)["config"]["digest"])


def has_content(folder, digests):
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path) and digest_of_file(path) in digests:
                print(f"{path} has one of the digests")
                return
    sys.exit(f"no file under {folder} has the digest {' or '.join(digests)}")


def main(arguments):
    match arguments:
        case ["make", folder]:
            make(folder)
        case ["verify", folder, digest]:
            verify(folder, digest)
        case ["push", folder, host, repository]:
            push(folder, host, repository)
        case ["config-of", host, repository, tag]:
            config_of(host, repository, tag)
        case ["has-content", folder, *digests] if digests:
            has_content(folder, digests)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
