"""Clients that push, tag, move, mount, upload in pieces and delete until the power is cut.

The ledger is written at the end, outside the filesystem under test. Prints a `WRONG` line for each unexpected
answer, and then exits with 1.
"""

import argparse
import os
import random
import sys
import threading
import time

from content import INDEX, digest_of, image, index
from cut import Cut
from ledger import Ledger, manifest_key
from registry import Broken, Registry, Unexpected, wait_until

CLIENTS = 6
SHARED_REPOS = ("shared/app", "shared/base")
ALGORITHMS = ("sha256", "sha256", "sha256", "sha512")
WAYS = ("post", "put", "chunks", "stream")
TAGS_OF_A_REPO = 12
# Upload sessions become durable every 16 MiB, so a few uploads must be larger.
LARGE_BLOB_BYTES = 20 << 20
LARGE_PIECE_BYTES = 5 << 20
# How long a copy of a round's small index takes, roughly.
COPY_SECONDS = 0.02
COPY_WAIT_MAX_SECONDS = 20


class Round:
    """The state that the clients of one round share."""

    def __init__(self, arguments):
        self.seed = arguments.seed
        self.address = arguments.address
        self.ledger = Ledger.load(arguments.ledger)
        self.cut = Cut(arguments.cut)
        self.over = threading.Event()
        self.done = threading.Event()
        self.once = threading.Lock()
        self.surprises = []
        self.acknowledged = 0
        # The number of the acknowledgement right after which the cut comes; 0: at a random moment.
        self.cut_after = arguments.cut_after
        manifests = [key.split(" ")[1:] for key in self.ledger.keys
                     if key.startswith("manifest ") and self.ledger.surely_here(key)]
        self.manifests = [(repo, digest) for repo, digest in manifests[-200:]]
        self.loose = []
        self.index = arguments.cut_while_copying

    def databases(self):
        """Returns the databases in the folder of the index; there are two during a copy."""
        return {name for name in os.listdir(self.index) if name.startswith("generation-")}

    def cut_while_copying(self, after, at_most):
        """Waits for the next copy of the index to begin, and cuts at a random moment of it."""
        wait_until(lambda: False, after)
        before = self.databases()
        wait_until(lambda: self.databases() - before, at_most)
        time.sleep(random.Random(self.seed).random() * COPY_SECONDS)
        if len(self.databases()) > 1:
            print("during a copy")

    def cut_now(self):
        with self.once:
            if self.over.is_set():
                return
            self.cut.prepare()
            with self.ledger.lock:
                self.over.set()
                self.ledger.frozen = not self.cut.answers_count_afterwards
            begin = time.monotonic()
            self.cut.now()
            self.ledger.cut_at = (begin, time.monotonic())
            self.done.set()

    def count(self):
        """Counts an acknowledgement; called by a client as soon as it has one."""
        with self.ledger.lock:
            self.acknowledged += 1
            due = self.acknowledged == self.cut_after
        if due:
            self.cut_now()


class Client:
    def __init__(self, round_, number):
        self.round, self.number = round_, number
        self.chance = random.Random(f"{round_.seed}/{number}")
        self.registry = Registry(round_.address, round_.ledger, round_.over.is_set, round_.count)
        self.made = 0
        self.open = []  # (location, offset) of sessions begun in this round

    def run(self):
        works = (
            (self.push_image, 8), (self.move_tag, 5), (self.push_referrer, 3), (self.push_index, 2),
            (self.mount, 3), (self.delete_tag, 2), (self.delete_manifest, 2), (self.push_loose_blob, 2),
            (self.delete_loose_blob, 1), (self.advance_session, 3), (self.end_session, 2),
            (self.cancel_session, 1), (self.large_session, 0.12),
        )
        actions, weights = zip(*works)
        while not self.round.over.is_set():
            action = self.chance.choices(actions, weights)[0]
            try:
                action()
            except Broken as error:
                if not self.round.over.is_set():
                    self.surprise(action, f"the connection broke: {error}")
                    return
            except Unexpected as error:
                self.surprise(action, error)

    def surprise(self, action, what):
        self.round.surprises.append(f"client {self.number}, {action.__name__}: {what}")

    def new_seed(self):
        """Returns a seed: mostly for new content, sometimes for content that other clients push as well."""
        if self.chance.random() < 0.25:
            return f"{self.round.seed}/common/{self.chance.randrange(6)}"
        self.made += 1
        return f"{self.round.seed}/{self.number}/{self.made}"

    def repo(self):
        return self.chance.choice((*SHARED_REPOS, f"own/client-{self.number}"))

    def tag(self):
        return f"v{self.chance.randrange(TAGS_OF_A_REPO)}"

    def size(self, seed):
        """Returns a size that depends on the seed only, so that common content is equal for all clients."""
        return int(random.Random(f"size {seed}").choice((0, 1, 300, 700, 5000, 5000, 20_000, 150_000)))

    def push_blob(self, repo, seed):
        way = self.chance.choice(WAYS)
        return self.registry.push_blob(repo, seed, self.size(seed), self.chance.choice(ALGORITHMS), way)

    def known(self, repo=None):
        """Returns an acknowledged manifest as (repo, digest), or None."""
        found = [one for one in self.round.manifests[-40:] if repo in (None, one[0])]
        return self.chance.choice(found) if found else None

    def note(self, repo, pushed):
        """Notes a pushed manifest; `pushed` is None if it was refused, which may happen beside a collector."""
        if pushed:
            self.round.manifests.append((repo, pushed[0]))

    def push_image(self):
        repo, seed = self.repo(), self.new_seed()
        blobs = [self.push_blob(repo, f"{seed}/{part}") for part in range(self.chance.randrange(1, 4))]
        text = image(blobs[0], blobs[1:], seed)
        if self.chance.random() < 0.7:
            pushed = self.registry.push_manifest(repo, text, tag=self.tag())
        else:
            tags = [self.tag() for _ in range(self.chance.randrange(3))]
            pushed = self.registry.push_manifest(repo, text, tags=tags)
        self.note(repo, pushed)

    def move_tag(self):
        repo, digest = self.known() or (None, None)
        if repo:
            known = self.round.ledger.contents[digest]
            # A child of an image index may have been deleted meanwhile.
            self.registry.push_manifest(repo, known["text"], known["type"], tag=self.tag(),
                                        may_refuse=known["type"] == INDEX)

    def push_referrer(self):
        repo, subject = self.known() or (None, None)
        if not repo:
            return
        seed = self.new_seed()
        if self.chance.random() < 0.2:
            subject = digest_of(seed.encode())
        blob = self.push_blob(repo, f"{seed}/signature")
        text = image(blob, [], seed, subject=(subject, 1000))
        self.note(repo, self.registry.push_manifest(repo, text))

    def push_index(self):
        repo = self.repo()
        children = {one[1] for one in (self.known(repo), self.known(repo)) if one}
        sizes = [(digest, len(self.round.ledger.contents[digest]["text"])) for digest in sorted(children)]
        surely = all(self.round.ledger.surely_here(manifest_key(repo, digest)) for digest in children)
        pushed = self.registry.push_manifest(repo, index(sizes, self.new_seed()), INDEX, tag=self.tag(),
                                             may_refuse=True)
        if pushed:
            self.round.manifests.append((repo, pushed[0]))
        elif surely and all(self.round.ledger.surely_here(manifest_key(repo, one)) for one in children):
            raise Unexpected(f"an image index in {repo} was refused, although all its manifests exist")

    def mount(self):
        source, digest = self.known() or (None, None)
        if not source:
            return
        known = self.round.ledger.contents[digest]
        repo = f"mounted/{self.chance.randrange(4)}"
        blobs = [one for one in known["blobs"] if self.registry.mount_blob(repo, source, one)]
        if known["blobs"] and blobs == known["blobs"]:
            self.note(repo, self.registry.push_manifest(repo, known["text"], known["type"], tag=self.tag()))

    def delete_tag(self):
        self.registry.delete_tag(self.repo(), self.tag())

    def delete_manifest(self):
        repo, digest = self.known() or (None, None)
        if repo:
            self.registry.delete_manifest(repo, digest)

    def push_loose_blob(self):
        repo, seed = f"loose/{self.chance.randrange(3)}", self.new_seed()
        self.round.loose.append((repo, self.push_blob(repo, seed)[0]))

    def delete_loose_blob(self):
        if self.round.loose:
            self.registry.delete_blob(*self.chance.choice(self.round.loose))

    def advance_session(self):
        if len(self.open) > 3 or (self.open and self.chance.random() < 0.6):
            at = self.chance.randrange(len(self.open))
            location, offset = self.open[at]
            size = self.round.ledger.sessions[location]["size"]
            if size - offset > 1:
                length = self.chance.randrange(1, min(size - offset, 60_000))
                self.open[at] = (location, self.registry.send_piece(location, offset, length))
            return
        size = self.chance.choice((2, 1000, 100_000, 400_000))
        self.open.append((self.registry.begin_session(self.repo(), self.new_seed() + "/session", size), 0))

    def end_session(self):
        if self.open:
            self.registry.finish_session(*self.open.pop(self.chance.randrange(len(self.open))))

    def cancel_session(self):
        if self.open:
            self.registry.cancel_session(self.open.pop(self.chance.randrange(len(self.open)))[0])

    def large_session(self):
        """Leaves a session open past its first durable offset."""
        location = self.registry.begin_session(self.repo(), self.new_seed() + "/large", LARGE_BLOB_BYTES)
        offset = 0
        while LARGE_BLOB_BYTES - offset > LARGE_PIECE_BYTES // 4 and not self.round.over.is_set():
            length = min(LARGE_PIECE_BYTES, LARGE_BLOB_BYTES - offset - 1)
            offset = self.registry.send_piece(location, offset, length)
        self.open.append((location, offset))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", required=True)
    parser.add_argument("--ledger", required=True)
    parser.add_argument("--cut", required=True)
    parser.add_argument("--cut-after", type=int, default=0)
    parser.add_argument("--cut-while-copying", metavar="INDEX_FOLDER")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", required=True)
    arguments = parser.parse_args()
    round_ = Round(arguments)
    threads = [threading.Thread(target=Client(round_, number).run) for number in range(CLIENTS)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    if round_.index:
        round_.cut_while_copying(arguments.seconds, COPY_WAIT_MAX_SECONDS)
    else:
        wait_until(lambda: round_.over.is_set() or not any(thread.is_alive() for thread in threads),
                   arguments.seconds)
    round_.cut_now()
    for thread in threads:
        thread.join()
    round_.done.wait()
    round_.cut.close()
    round_.ledger.save(arguments.ledger)
    for surprise in round_.surprises:
        print("WRONG", surprise)
    print(f"{round_.acknowledged} acknowledgements in {time.monotonic() - begin:.2f} s", flush=True)
    sys.exit(1 if round_.surprises else 0)


if __name__ == "__main__":
    main()
