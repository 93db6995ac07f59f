"""A simulated drive with a volatile write cache: one file, served over FUSE, for a loop device.

The cache holds what was written since the last flush. The command `cut` cuts the power: of every block in the
cache, independently, any version written since the flush survives, or none, because a real drive may write them
in any order; some blocks are torn at a sector. From then on the drive accepts writes and forgets them, so that
the filesystem can be unmounted. The command `power` shows what survived.

The time between a write and the flush after it is short: most cuts would find an empty cache. The command `hold`
waits for a moment with blocks in the cache, and stops the drive there until the cut.

usage: drive.py IMAGE FOLDER CONTROL SEED     serves IMAGE as FOLDER/disk until FOLDER is unmounted
"""

import ctypes
import errno
import os
import random
import signal
import socket
import stat
import struct
import sys
import threading

BLOCK = 4096
SECTOR = 512
WRITE_MAX = 1 << 20
# A real cache is bounded as well: beyond this, blocks are written out in any order.
CACHE_MAX_BLOCKS = 8192

# How many blocks a cut waits for: the first writes after a flush, or the middle of a larger batch.
HELD_BLOCKS = (1, 1, 2, 4, 8, 16)
# How long it waits for them, and then for any block.
HOLD_WAIT_MAX_SECONDS = 0.5
# A drive whose cut does not come goes on.
HELD_MAX_SECONDS = 20

IN_HEADER, OUT_HEADER = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ")
ATTRIBUTES = struct.Struct("<QQQQQQIIIIIIIIII")
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE = 1, 2, 3, 4, 14, 15, 16, 17, 18
FSYNC, FLUSH, INIT, OPENDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = 20, 25, 26, 27, 29, 36, 38, 42
SILENT = (FORGET, BATCH_FORGET, INTERRUPT)
ASYNC_READ, BIG_WRITES, ASYNC_DIO, MAX_PAGES = 1 << 0, 1 << 5, 1 << 15, 1 << 22
OPEN_DIRECT_IO = 1
ROOT, FILE = 1, 2


class Drive:
    """The blocks of the drive: durable ones in the image, and their newer versions in the cache."""

    def __init__(self, image, seed):
        self.image = os.open(image, os.O_RDWR)
        self.size = os.fstat(self.image).st_size
        self.cache = {}     # block: [version, ...], the newest last
        self.dead = None    # block: bytes, once the power is gone
        self.chance = random.Random(seed)
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.held = False

    def _block(self, number):
        if self.dead is not None and number in self.dead:
            return self.dead[number]
        if number in self.cache:
            return self.cache[number][-1]
        return os.pread(self.image, BLOCK, number * BLOCK).ljust(BLOCK, b"\0")

    def read(self, offset, size):
        with self.lock:
            size = max(0, min(size, self.size - offset))
            first, last = offset // BLOCK, (offset + size + BLOCK - 1) // BLOCK
            if not any(number in self.cache or number in (self.dead or ()) for number in range(first, last)):
                return os.pread(self.image, size, offset)
            data = b"".join(self._block(number) for number in range(first, last))
            return data[offset - first * BLOCK:][:size]

    def write(self, offset, data):
        with self.lock:
            at = 0
            while at < len(data):
                number, inside = divmod(offset + at, BLOCK)
                piece = data[at:at + BLOCK - inside]
                at += len(piece)
                if len(piece) < BLOCK:
                    old = self._block(number)
                    piece = old[:inside] + piece + old[inside + len(piece):]
                if self.dead is not None:
                    self.dead[number] = bytes(piece)
                else:
                    self.cache.setdefault(number, []).append(bytes(piece))
            self.changed.notify_all()
            if len(self.cache) > CACHE_MAX_BLOCKS:
                for number in self.chance.sample(list(self.cache), CACHE_MAX_BLOCKS // 2):
                    os.pwrite(self.image, self.cache.pop(number)[-1], number * BLOCK)

    def flush(self):
        with self.lock:
            if self.dead is None:
                for number, versions in self.cache.items():
                    os.pwrite(self.image, versions[-1], number * BLOCK)
                self.cache.clear()

    def wait_while_held(self):
        """Waits for the end of a hold; a request is not carried out before."""
        with self.lock:
            self.changed.wait_for(lambda: not self.held, HELD_MAX_SECONDS)
            self.held = False

    def hold(self):
        """Waits until the cache has blocks, for a while, and carries out no request from then until the cut."""
        with self.lock:
            for blocks in (self.chance.choice(HELD_BLOCKS), 1):
                if self.changed.wait_for(lambda: len(self.cache) >= blocks, HOLD_WAIT_MAX_SECONDS):
                    break
            self.held = True
            return f"holds {len(self.cache)} blocks"

    def cut(self):
        """Loses the cache, except for what the drive happened to write out."""
        with self.lock:
            self.held = False
            self.changed.notify_all()
            if self.dead is not None:
                return "has no power already"
            if not self.cache:
                self.dead = {}
                return "lost 0 blocks of its cache, which was empty"
            # At least one block goes: a cut that loses nothing shows nothing.
            lost_surely = self.chance.choice(list(self.cache))
            likely, kept, torn = self.chance.choice((0.0, 0.2, 0.5, 0.8, 1.0)), 0, 0
            for number, versions in self.cache.items():
                if number == lost_surely or self.chance.random() >= likely:
                    continue
                block, kept = self.chance.choice(versions), kept + 1
                if self.chance.random() < 0.05:
                    sectors, torn = self.chance.randrange(1, BLOCK // SECTOR) * SECTOR, torn + 1
                    block = block[:sectors] + os.pread(self.image, BLOCK, number * BLOCK)[sectors:]
                os.pwrite(self.image, block, number * BLOCK)
            lost = len(self.cache) - kept
            self.cache, self.dead = {}, {}
            return f"lost {lost} blocks of its cache, kept {kept}, {torn} of them torn"

    def power(self):
        with self.lock:
            self.dead = None
            return "has power"


def attributes(drive, node):
    if node == ROOT:
        mode, size = stat.S_IFDIR | 0o700, 0
    else:
        mode, size = stat.S_IFREG | 0o600, drive.size
    return ATTRIBUTES.pack(node, size, size // SECTOR, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, BLOCK, 0)


def answer(drive, opcode, node, body):
    """Returns the body of the answer to a request of the kernel."""
    if opcode == INIT:
        features = ASYNC_READ | BIG_WRITES | ASYNC_DIO | MAX_PAGES
        pages = WRITE_MAX // BLOCK
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, features, 16, 12, WRITE_MAX, 1, pages, 0, 0)
    if opcode == LOOKUP:
        if body.rstrip(b"\0") != b"disk":
            raise OSError(errno.ENOENT, "")
        return struct.pack("<QQQQII", FILE, 0, 3600, 3600, 0, 0) + attributes(drive, FILE)
    if opcode in (GETATTR, SETATTR):
        return struct.pack("<QII", 3600, 0, 0) + attributes(drive, node)
    if opcode in (OPEN, OPENDIR):
        return struct.pack("<QII", 0, OPEN_DIRECT_IO if opcode == OPEN else 0, 0)
    if opcode == READ:
        _, offset, size = struct.unpack_from("<QQI", body)
        return drive.read(offset, size)
    if opcode == WRITE:
        _, offset, size = struct.unpack_from("<QQI", body)
        drive.write(offset, body[40:40 + size])
        return struct.pack("<II", size, 0)
    if opcode == FSYNC:
        drive.flush()
        return b""
    if opcode in (FLUSH, RELEASE, RELEASEDIR, DESTROY):
        return b""
    if opcode == STATFS:
        return struct.pack("<QQQQQIIII24x", 0, 0, 0, 1, 0, BLOCK, 255, BLOCK, 0)
    raise OSError(errno.ENOSYS, "")


def serve(drive, device):
    while True:
        try:
            request = os.read(device, WRITE_MAX + 4096)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return
            if error.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                continue
            raise
        _, opcode, unique, node, *_ = IN_HEADER.unpack_from(request)
        if opcode in SILENT:
            continue
        drive.wait_while_held()
        try:
            code, body = 0, answer(drive, opcode, node, request[IN_HEADER.size:])
        except OSError as error:
            code, body = -error.errno, b""
        os.writev(device, [OUT_HEADER.pack(OUT_HEADER.size + len(body), code, unique), body])


def listen(drive, control):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(control)
    listener.listen()
    commands = {"hold": drive.hold, "cut": drive.cut, "power": drive.power}

    def loop():
        while True:
            connection, _ = listener.accept()
            with connection:
                line = connection.makefile("r", encoding="utf-8").readline().strip()
                connection.sendall(commands.get(line, lambda: "no such command")().encode() + b"\n")

    threading.Thread(target=loop, daemon=True).start()


def main():
    image, folder, control, seed = sys.argv[1:]
    # It ends when its folder is unmounted. A signal to the whole group must not end it under a mounted
    # filesystem.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    drive = Drive(image, int(seed))
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"drive", folder.encode(), b"fuse", ctypes.c_ulong(0), options) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot mount the drive at {folder}: {os.strerror(code)}")
    listen(drive, control)
    serve(drive, device)


if __name__ == "__main__":
    main()
