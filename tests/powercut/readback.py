"""Reads everything back after a cut, and compares it with the ledger.

Prints a `LOST` line for each acknowledged write that is missing, a `TORN` line for everything that is neither
whole nor absent, or that contradicts something else, then the counts. The ledger keeps what was seen. Exits with
1 on any finding.
"""

import argparse
import json
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from content import blob_bytes, digest_of, image
from ledger import ABSENT, COLLECTS, HERE, Ledger, blob_key, manifest_key
from registry import Answer, Broken, Registry, Unexpected

READERS = 4
# Without --full: what changed since the last full read-back, and this many of the other keys.
SAMPLE_OF_OTHERS = 60
LIST_PAGE = 40


class Readback:
    def __init__(self, arguments):
        self.address = arguments.address
        self.chance = random.Random(f"readback {arguments.seed}")
        self.ledger = Ledger.load(arguments.ledger)
        self.path = arguments.ledger
        self.mine = threading.local()
        self.lost, self.torn, self.notes = [], [], []
        keys = sorted(self.ledger.keys)
        if arguments.full:
            self.keys, self.ledger.touched = keys, set()
        else:
            others = [key for key in keys if key not in self.ledger.touched]
            sample = self.chance.sample(others, min(len(others), SAMPLE_OF_OTHERS))
            self.keys = sorted(self.ledger.touched) + sample
        # The values as read now, or as read last.
        self.seen = {key: candidates[-1].value for key, candidates in self.ledger.keys.items()}
        self.allowed = {key: self.ledger.values(key) for key in self.keys}

    def registry(self):
        if not hasattr(self.mine, "registry"):
            self.mine.registry = Registry(self.address, self.ledger)
        return self.mine.registry

    def get(self, path):
        """Returns the answer to a GET; one that breaks off, as for a file that is too short, has status 0."""
        try:
            return self.registry().request("GET", path)
        except Broken as error:
            return Answer(0, {}, str(error).encode())

    def pages(self, path, field):
        """Returns all items of a list, page by page."""
        items, answer = [], self.get(f"{path}?n={LIST_PAGE}")
        while answer.status == 200:
            items += json.loads(answer.body)[field] or []
            link = answer.headers.get("Link")
            if not link:
                return items
            answer = self.get(link[link.index("<") + 1:link.index(">")])
        if answer.status != 404:
            self.torn.append(f"{path}: {answer}")
        return items

    # --- one key

    def look(self, key):
        kind, repo, name = key.split(" ")
        found = getattr(self, f"look_at_{kind}")(key, repo, name)
        if found is Ellipsis:
            return
        self.seen[key] = found
        # `check_manifests_have_their_blobs` checks that every manifest has its blobs.
        collected = COLLECTS and kind == "blob" and found is ABSENT
        if found not in self.allowed[key] and not collected:
            self.report(key, found)

    def report(self, key, found):
        allowed = ", ".join(str(value) for value in sorted(self.allowed[key], key=str))
        self.lost.append(f"{key}: is {found}; acknowledged or in progress: {allowed}"
                         f" ({self.ledger.history(key)})")

    def look_at_blob(self, key, repo, digest):
        answer = self.get(f"/v2/{repo}/blobs/{digest}")
        if answer.status == 404:
            return ABSENT
        if answer.status == 200 and digest_of(answer.body, digest.partition(":")[0]) == digest:
            return HERE
        return self.broken(key, answer)

    def look_at_manifest(self, key, repo, digest):
        answer = self.get(f"/v2/{repo}/manifests/{digest}")
        if answer.status == 404:
            return ABSENT
        known = self.ledger.contents[digest]
        whole = answer.status == 200 and answer.body == known["text"].encode()
        if whole and answer.headers.get("Content-Type") == known["type"]:
            return HERE
        return self.broken(key, answer)

    def look_at_tag(self, key, repo, tag):
        answer = self.get(f"/v2/{repo}/manifests/{tag}")
        if answer.status == 404:
            return ABSENT
        digest = answer.headers.get("Docker-Content-Digest")
        if answer.status == 200 and digest_of(answer.body) == digest and digest in self.ledger.contents:
            return digest
        return self.broken(key, answer)

    def broken(self, key, answer):
        """Notes that something other than the pushed bytes is served; returns Ellipsis, which is no value."""
        told = answer.body[:200] if answer.status != 200 else f"{len(answer.body)} bytes"
        self.torn.append(f"{key}: status {answer.status}, {told}; allowed: {self.allowed[key]}")
        return ...

    # --- how things fit together

    def manifests(self, repo=None):
        for key, value in self.seen.items():
            kind, of, digest = key.split(" ")
            if kind == "manifest" and value == HERE and repo in (None, of):
                yield of, digest

    def check_manifests_have_their_blobs(self):
        for repo, digest in self.manifests():
            for blob in self.ledger.contents[digest]["blobs"]:
                if self.seen.get(blob_key(repo, blob)) != HERE:
                    self.torn.append(f"{repo} has the manifest {digest} without its blob {blob}")

    def check_tags_name_manifests(self):
        for key, value in self.seen.items():
            kind, repo, tag = key.split(" ")
            if kind == "tag" and value and self.seen.get(manifest_key(repo, value)) != HERE:
                self.torn.append(f"{repo}:{tag} names {value}, which the repository does not have")

    def check_lists(self):
        repos = {key.split(" ")[1] for key in self.keys}
        for repo in sorted(repos):
            wanted = sorted(
                key.split(" ")[2] for key, value in self.seen.items()
                if key.startswith(f"tag {repo} ") and value
            )
            self.same(f"tags of {repo}", wanted, self.pages(f"/v2/{repo}/tags/list", "tags"))
        wanted = sorted({repo for repo, _ in self.manifests()})
        self.same("catalog", wanted, self.pages("/v2/_catalog", "repositories"))

    def same(self, what, wanted, got):
        if sorted(got) != wanted:
            missing, more = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
            self.torn.append(f"{what}: the list lacks {missing}, and has {more} in excess")

    def check_referrers(self):
        repos = {key.split(" ")[1] for key in self.keys if key.startswith("manifest ")}
        subjects = {}
        for key in self.ledger.keys:
            kind, repo, digest = key.split(" ")
            subject = kind == "manifest" and repo in repos and self.ledger.contents[digest]["subject"]
            if subject:
                there = subjects.setdefault((repo, subject), [])
                if self.seen[key] == HERE:
                    there.append(digest)
        for repo, subject in sorted(subjects):
            answer = self.get(f"/v2/{repo}/referrers/{subject}")
            if answer.status != 200:
                self.torn.append(f"referrers of {subject} in {repo}: {answer}")
                continue
            listed = json.loads(answer.body)["manifests"]
            self.same(f"referrers of {subject} in {repo}", sorted(subjects[repo, subject]),
                      [one["digest"] for one in listed])
            for one in listed:
                known = self.ledger.contents.get(one["digest"])
                right = known and (one["mediaType"], one["size"], one.get("artifactType")) == (
                    known["type"], len(known["text"]), known["artifact"])
                if not right:
                    self.torn.append(f"referrers of {subject} in {repo}: a wrong descriptor {one}")

    # --- upload sessions

    def check_sessions(self):
        counts = {"resumed": 0, "kept": 0, "gone": 0, "from past 16 MiB": 0}
        for location, session in sorted(self.ledger.sessions.items()):
            answer = self.get(location)
            if answer.status == 404:
                self.session_is_gone(location, session)
                counts["gone"] += session["state"] == "open"
                del self.ledger.sessions[location]
                continue
            if answer.status != 204:
                self.torn.append(f"{location}: {answer}")
                continue
            if session["state"] == "ended":
                self.lost.append(f"{location} was acknowledged as ended, and still exists: {session}")
                del self.ledger.sessions[location]
                continue
            offset = int(answer.headers["Range"].partition("-")[2]) + 1
            if not (session["least"] or 0) <= offset <= session["sent"]:
                self.torn.append(f"{location}: its offset is {offset}, but {session}")
            session.update(state="open", least=offset, sent=max(offset, session["sent"]))
            counts["from past 16 MiB"] += offset >= 16 << 20
            # Some stay for the next cut: an offset that a start reported must not decrease.
            if self.chance.random() < 0.6:
                self.registry().finish_session(location, offset)
                del self.ledger.sessions[location]
                digest = digest_of(blob_bytes(session["seed"], session["size"]))
                self.look_again(blob_key(session["repo"], digest))
                counts["resumed"] += 1
            else:
                counts["kept"] += 1
        return counts

    def session_is_gone(self, location, session):
        """A 202 promises nothing: only a session that an earlier start reported must still exist."""
        if session["state"] == "open" and session["least"] is not None:
            self.lost.append(f"{location} had the offset {session['least']} after an earlier cut, and is gone")

    def look_again(self, key):
        self.allowed[key] = {HERE}
        self.look(key)
        self.ledger.settle(key, HERE)

    # --- a new push

    def check_new_push(self):
        repo, seed = "after/cut", f"after {self.chance.random()}"
        registry = self.registry()
        blobs = [registry.push_blob(repo, f"{seed}/{size}", size, "sha256", "chunks") for size in (9, 1000)]
        digest, _ = registry.push_manifest(repo, image(blobs[0], blobs[1:], seed), tag="newest")
        for key in [blob_key(repo, blob) for blob, _ in blobs] + [manifest_key(repo, digest)]:
            self.look_again(key)
        self.allowed["tag after/cut newest"] = {digest}
        self.look("tag after/cut newest")

    def run(self):
        with ThreadPoolExecutor(READERS) as readers:
            list(readers.map(self.look, self.keys))
        self.check_manifests_have_their_blobs()
        self.check_tags_name_manifests()
        self.check_lists()
        self.check_referrers()
        for key in self.keys:
            self.ledger.settle(key, self.seen[key])
        counts = self.check_sessions()
        self.check_new_push()
        self.ledger.save(self.path)
        return counts


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--full", action="store_true")
    readback = Readback(parser.parse_args())
    failed = None
    try:
        sessions = readback.run()
    except (Broken, Unexpected) as error:
        failed, sessions = error, {}
    for line in readback.lost:
        print("LOST", line)
    for line in readback.torn:
        print("TORN", line)
    if failed:
        print("WRONG", failed)
    print(f"read back {len(readback.keys)} of {len(readback.ledger.keys)}; sessions:",
          ", ".join(f"{count} {what}" for what, count in sessions.items() if count) or "none")
    sys.exit(1 if readback.lost or readback.torn or failed else 0)


if __name__ == "__main__":
    main()
