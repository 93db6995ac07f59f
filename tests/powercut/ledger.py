"""The requests of clients and their answers, so that a read-back knows what must exist.

Every key (a tag, a manifest of a repository, a blob of a repository) is a register. For each the ledger keeps
the values it may have now: the last acknowledged one, and those of writes in progress during or after it. An
acknowledged write excludes all values that were settled before it began.
"""

import json
import os
import sys
import threading
import time

# Whether a collector without grace time runs: then a blob must exist only while a manifest needs it.
COLLECTS = os.environ.get("PULK_COLLECTS") == "yes"

HERE = "here"
ABSENT = None


def blob_key(repo, digest):
    return f"blob {repo} {digest}"


def manifest_key(repo, digest):
    return f"manifest {repo} {digest}"


def tag_key(repo, tag):
    return f"tag {repo} {tag}"


class Candidate:
    """A value that a key may have, with the times when its write began and was settled, if it was."""

    def __init__(self, value, begin=0.0, end=0.0):
        self.value, self.begin, self.end = value, begin, end


class Operation:
    """A request in progress, with the candidates it added."""

    def __init__(self, begin):
        self.begin = begin
        self.writes = []   # (key, candidate)
        self.untags = []   # (key, candidate): tags that go with a manifest, if they name it
        self.deletes = None  # (repo, digest) of a manifest


class Ledger:
    """The registers of one store, for the threads of one process; `load` and `save` pass them to the next one."""

    def __init__(self):
        self.lock = threading.RLock()
        self.keys = {}       # key: [Candidate]
        self.contents = {}   # digest: {"seed", "size"} of a blob, {"text", "type", ...} of a manifest
        self.sessions = {}   # location: what was sent to an upload session
        self.touched = set()  # keys that changed since the last full read-back
        self.acknowledged = 0
        self.cut_at = None   # when the last cut began and ended
        self.frozen = False  # once the machine is dead, answers count no more
        self.under_way = []  # deletions of manifests

    @classmethod
    def load(cls, path):
        ledger = cls()
        try:
            with open(path, encoding="utf-8") as file:
                kept = json.load(file)
        except FileNotFoundError:
            return ledger
        for key, candidates in kept["keys"].items():
            ledger.keys[key] = [Candidate(*one) for one in candidates]
        ledger.contents, ledger.sessions = kept["contents"], kept["sessions"]
        ledger.touched = set(kept["touched"])
        ledger.acknowledged, ledger.cut_at = kept["acknowledged"], kept["cut_at"]
        return ledger

    def save(self, path):
        with self.lock, open(path, "w", encoding="utf-8") as file:
            json.dump({
                "keys": {
                    key: [(one.value, one.begin, one.end) for one in candidates]
                    for key, candidates in self.keys.items()
                },
                "contents": self.contents,
                "sessions": self.sessions,
                "touched": sorted(self.touched),
                "acknowledged": self.acknowledged,
                "cut_at": self.cut_at,
            }, file)

    def values(self, key):
        """Returns the values that a key may have."""
        with self.lock:
            return {one.value for one in self.keys.get(key, [Candidate(ABSENT)])}

    def surely_here(self, key):
        if ABSENT in self.values(key):
            return False
        return not COLLECTS or not key.startswith("blob ") or self._is_needed(*key.split(" ")[1:])

    def _is_needed(self, repo, blob):
        """Tells whether a manifest that must exist references a blob."""
        with self.lock:
            return any(
                blob in known.get("blobs", ()) and self.surely_here(manifest_key(repo, digest))
                for digest, known in list(self.contents.items())
            )

    def history(self, key):
        """Describes the candidates of a key for a finding: when each was requested and acknowledged, in
        milliseconds from the last cut."""
        if not self.cut_at:
            return ""
        instant = self.cut_at[0]
        told = [f"the cut ended at {(self.cut_at[1] - instant) * 1000:+.2f} ms"]
        for one in self.keys[key]:
            begin = f"{(one.begin - instant) * 1000:+.2f}" if one.begin else "earlier"
            end = f"{(one.end - instant) * 1000:+.2f}" if one.end else "earlier" if one.end == 0 else "never"
            told.append(f"{one.value}: requested {begin}, acknowledged {end}")
        return "; ".join(told)

    def settle(self, key, value):
        """Notes what a read-back saw: requests in progress before are over."""
        self.keys[key] = [Candidate(value)]

    def _put_up(self, key, value, begin):
        candidate = Candidate(value, begin, None)
        self.keys.setdefault(key, [Candidate(ABSENT)]).append(candidate)
        self.touched.add(key)
        return key, candidate

    def begin(self, changes, deletes=None):
        """Notes a request before it is sent: `changes` as (key, value), `deletes` as the (repo, digest) of a
        manifest, whose tags are deleted with it."""
        with self.lock:
            operation = Operation(time.monotonic())
            for key, value in changes:
                operation.writes.append(self._put_up(key, value, operation.begin))
                for other in self.under_way:
                    if value == other.deletes[1] and key.startswith(f"tag {other.deletes[0]} "):
                        other.untags.append(self._put_up(key, ABSENT, other.begin))
            if deletes:
                repo, digest = operation.deletes = deletes
                operation.writes.append(self._put_up(manifest_key(repo, digest), ABSENT, operation.begin))
                for key in [key for key in self.keys if key.startswith(f"tag {repo} ")]:
                    if digest in self.values(key):
                        operation.untags.append(self._put_up(key, ABSENT, operation.begin))
                self.under_way.append(operation)
            return operation

    def acknowledge(self, operation):
        """Notes a 2xx. Returns False if it came after the cut and is ignored."""
        with self.lock:
            if self.frozen:
                return False
            now = self._end(operation)
            for key, candidate in operation.writes:
                candidate.end = now
                self.keys[key] = [
                    one for one in self.keys[key]
                    if one is candidate or one.end is None or one.end >= operation.begin
                ]
            for key, candidate in operation.untags:
                candidate.end = now
                self.keys[key] = [
                    one for one in self.keys[key]
                    if one.value != operation.deletes[1] or one.end is None or one.end >= operation.begin
                ]
            self.acknowledged += 1
            return True

    def refuse(self, operation):
        """Notes a 4xx: nothing changed."""
        with self.lock:
            if self.frozen:
                return
            self._end(operation)
            for key, candidate in operation.writes + operation.untags:
                self.keys[key].remove(candidate)

    def _end(self, operation):
        if operation in self.under_way:
            self.under_way.remove(operation)
        return time.monotonic()


def main():
    what, path = sys.argv[1:]
    ledger = Ledger.load(path)
    print(ledger.acknowledged if what == "acknowledged" else sum(map(ledger.surely_here, ledger.keys)))


if __name__ == "__main__":
    main()
