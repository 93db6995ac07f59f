"""The ways to end the server, or its machine, at this instant."""

import contextlib
import fcntl
import os
import signal
import socket
import struct
import sys

# EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number, and their flags agree.
IOCTL_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2


def ask_drive(control, command):
    """Sends the simulated drive a command and returns its answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(control)
        connection.sendall(command.encode() + b"\n")
        return connection.makefile("r", encoding="utf-8").readline().strip()


class Cut:
    """A cut, parsed from `kill:PID`, `shutdown:MOUNT`, `cache:CONTROL` or `none`; `power:CONTROL` ends a `cache`."""

    def __init__(self, text):
        self.kind, _, self.target = text.partition(":")
        if self.kind not in ("kill", "shutdown", "cache", "power", "none"):
            raise ValueError(f"no such cut: {text}")
        # Opened in advance, so that the cut itself is one system call.
        self.folder = os.open(self.target, os.O_RDONLY) if self.kind == "shutdown" else None

    # A machine without power sends no answers, but here the server runs on for some milliseconds. A drive that
    # lost power accepts writes, so that the filesystem can be unmounted; and on ext4 an fdatasync in progress
    # when the filesystem is shut down may return 0 although its bytes are lost (Linux 6.18: 26 of 400 tries of
    # a program that does nothing else).
    @property
    def answers_count_afterwards(self):
        return self.kind in ("kill", "none")

    def prepare(self):
        """Waits for a moment at which the drive has something to lose. The drive stops there until the cut, so no
        answer that rests on it can come in between."""
        if self.kind == "cache":
            ask_drive(self.target, "hold")

    def now(self):
        if self.kind == "kill":
            # If the server ended by itself, its clients noticed.
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(self.target), signal.SIGKILL)
        elif self.kind == "shutdown":
            fcntl.ioctl(self.folder, IOCTL_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        elif self.kind == "cache":
            print("drive:", ask_drive(self.target, "cut"), flush=True)
        elif self.kind == "power":
            ask_drive(self.target, "power")

    def close(self):
        if self.folder is not None:
            os.close(self.folder)
            self.folder = None


if __name__ == "__main__":
    cut = Cut(sys.argv[1])
    cut.prepare()
    cut.now()
    cut.close()
