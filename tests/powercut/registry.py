"""One client's connection to the registry; every write goes through the ledger."""

import http.client
import json
import time

from content import MANIFEST, blob_bytes, digest_of
from ledger import ABSENT, COLLECTS, HERE, blob_key, manifest_key, tag_key

ANSWER_MAX_SECONDS = 30
OCTETS = {"Content-Type": "application/octet-stream"}


class Broken(Exception):
    """The connection ended without an answer."""


class Unexpected(Exception):
    """An answer that a registry must not give here."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __str__(self):
        return f"{self.status} {self.body[:300].decode(errors='replace')}"


class Registry:
    """A connection; failures are expected once `over` returns True."""

    def __init__(self, address, ledger, over=lambda: False, acknowledged=lambda: None):
        self.address, self.ledger, self.over, self.acknowledged = address, ledger, over, acknowledged
        self.connection = None

    def request(self, method, path, body=None, headers=None):
        """Sends a request and returns its answer; an iterator as the body is sent in chunks."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.address, timeout=ANSWER_MAX_SECONDS)
        try:
            chunked = body is not None and not isinstance(body, (bytes, str))
            self.connection.request(method, path, body, headers or {}, encode_chunked=chunked)
            response = self.connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            raise Broken(f"{method} {path}: {error!r}") from error

    def write(self, operation, request, success, may_refuse=False, otherwise=()):
        """Sends a write that the ledger notes. Returns the answer if it was acknowledged, or if its status is one
        of `otherwise`, which means that nothing changed."""
        answer = self.request(*request)
        if answer.status in otherwise:
            self.ledger.refuse(operation)
            return answer
        if answer.status in success:
            if self.ledger.acknowledge(operation):
                self.acknowledged()
            return answer
        if 400 <= answer.status < 500:
            self.ledger.refuse(operation)
            if may_refuse:
                return None
        if self.over():
            raise Broken(str(answer))
        raise Unexpected(f"{request[0]} {request[1]}: {answer}")

    def plain(self, request, success):
        """Sends a request whose answer promises nothing."""
        answer = self.request(*request)
        if answer.status not in success:
            raise (Broken if self.over() else Unexpected)(f"{request[0]} {request[1]}: {answer}")
        return answer

    # --- blobs

    def push_blob(self, repo, seed, size, algorithm, how):
        """Pushes a blob in one request (`post`), two (`put`), in pieces (`chunks`) or streamed (`stream`)."""
        data = blob_bytes(seed, size)
        digest = digest_of(data, algorithm)
        self.ledger.contents[digest] = {"seed": seed, "size": size}
        change = [(blob_key(repo, digest), HERE)]
        uploads = f"/v2/{repo}/blobs/uploads/"
        if how == "post":
            request = ("POST", f"{uploads}?digest={digest}", data, OCTETS)
            self.write(self.ledger.begin(change), request, (201,))
            return digest, size
        location = self.plain(("POST", uploads), (202,)).headers["Location"]
        last, offset = data, 0
        if how == "chunks":
            step = max(1, size // 3)
            for offset in range(0, size - step, step):
                piece = data[offset:offset + step]
                headers = OCTETS | {"Content-Range": f"{offset}-{offset + len(piece) - 1}"}
                self.plain(("PATCH", location, piece, headers), (202,))
                last = data[offset + step:]
        elif how == "stream":
            pieces = (data[at:at + 65536] for at in range(0, size, 65536))
            self.plain(("PATCH", location, pieces, OCTETS), (202,))
            last = b""
        self.write(self.ledger.begin(change), ("PUT", f"{location}?digest={digest}", last, OCTETS), (201,))
        return digest, size

    def mount_blob(self, repo, source, digest):
        """Mounts a blob; if that fails, a deletion of the blob must have been in progress."""
        surely = self.ledger.surely_here(blob_key(source, digest))
        operation = self.ledger.begin([(blob_key(repo, digest), HERE)])
        path = f"/v2/{repo}/blobs/uploads/?mount={digest}&from={source}"
        answer = self.write(operation, ("POST", path), (201,), otherwise=(202,))
        if answer.status == 201:
            return True
        if surely and self.ledger.surely_here(blob_key(source, digest)):
            raise Unexpected(f"POST {path}: {answer}, although the blob is there")
        self.request("DELETE", answer.headers["Location"])
        return False

    def delete_blob(self, repo, digest):
        operation = self.ledger.begin([(blob_key(repo, digest), ABSENT)])
        self.write(operation, ("DELETE", f"/v2/{repo}/blobs/{digest}"), (202,), may_refuse=True)

    # --- manifests

    def push_manifest(self, repo, text, media_type=MANIFEST, tag=None, tags=(), may_refuse=False):
        """Pushes a manifest by tag, or by digest with any number of tags. Returns its (digest, size)."""
        data = text.encode()
        digest = digest_of(data)
        self.ledger.contents[digest] = describe(text, media_type)
        changes = [(manifest_key(repo, digest), HERE)]
        changes += [(tag_key(repo, one), digest) for one in ([tag] if tag else tags)]
        path = f"/v2/{repo}/manifests/{tag or digest}"
        if tags and not tag:
            path += "?" + "&".join(f"tag={one}" for one in tags)
        request = ("PUT", path, data, {"Content-Type": media_type})
        # If the push took longer than a lease, what came before may be collected by now.
        answer = self.write(self.ledger.begin(changes), request, (201,), may_refuse or COLLECTS)
        return (digest, len(data)) if answer else None

    def delete_manifest(self, repo, digest):
        operation = self.ledger.begin([], deletes=(repo, digest))
        self.write(operation, ("DELETE", f"/v2/{repo}/manifests/{digest}"), (202,), may_refuse=True)

    def delete_tag(self, repo, tag):
        operation = self.ledger.begin([(tag_key(repo, tag), ABSENT)])
        self.write(operation, ("DELETE", f"/v2/{repo}/manifests/{tag}"), (202,), may_refuse=True)

    # --- upload sessions left open; each belongs to one client

    def begin_session(self, repo, seed, size):
        location = self.plain(("POST", f"/v2/{repo}/blobs/uploads/"), (202,)).headers["Location"]
        session = {"repo": repo, "seed": seed, "size": size, "sent": 0, "state": "open", "least": None}
        with self.ledger.lock:
            self.ledger.sessions[location] = session
        return location

    def send_piece(self, location, offset, length):
        """Sends bytes of a session from `offset` on. Returns the offset in the answer."""
        session = self.ledger.sessions[location]
        data = blob_bytes(session["seed"], session["size"])[offset:offset + length]
        session["sent"] = max(session["sent"], offset + len(data))
        headers = OCTETS | {"Content-Range": f"{offset}-{offset + len(data) - 1}"}
        answer = self.plain(("PATCH", location, data, headers), (202,))
        end = int(answer.headers["Range"].partition("-")[2]) + 1
        if end != offset + len(data):
            raise Unexpected(f"PATCH {location} up to byte {offset + len(data)}: stands at {end}")
        return end

    def finish_session(self, location, offset):
        """Sends the rest of a session, which ends it and stores its blob."""
        session = self.ledger.sessions[location]
        data = blob_bytes(session["seed"], session["size"])
        digest = digest_of(data)
        self.ledger.contents[digest] = {"seed": session["seed"], "size": session["size"]}
        session["sent"], session["state"] = len(data), "ending"
        operation = self.ledger.begin([(blob_key(session["repo"], digest), HERE)])
        headers = OCTETS | ({"Content-Range": f"{offset}-{len(data) - 1}"} if offset < len(data) else {})
        request = ("PUT", f"{location}?digest={digest}", data[offset:], headers)
        self.write(operation, request, (201,))
        self._ended(session)

    def cancel_session(self, location):
        session = self.ledger.sessions[location]
        session["state"] = "ending"
        self.write(self.ledger.begin([]), ("DELETE", location), (204,))
        self._ended(session)

    def _ended(self, session):
        with self.ledger.lock:
            if not self.ledger.frozen:
                session["state"] = "ended"


def describe(text, media_type):
    """Returns what the ledger keeps of a manifest."""
    manifest = json.loads(text)
    return {
        "text": text,
        "type": media_type,
        "subject": manifest.get("subject", {}).get("digest"),
        "artifact": manifest.get("artifactType"),
        "blobs": [one["digest"] for one in [manifest.get("config"), *manifest.get("layers", [])] if one],
    }


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
