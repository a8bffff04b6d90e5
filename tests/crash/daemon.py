"""The gate as `mailgate` runs it, in a process of its own, with two things that a test may set: constants, and the clock.

What would take minutes is made small here: a constant is named by its module (`mailgate.journeys.life.EXPANSION_CHUNK`), and a name that
the program no longer has ends the process, so that no test goes on with the constant it did not mean. The clock is the machine's plus what
is read from a file at each look: a test moves it under a running gate, or lets time pass, by writing sixteen octets.

A gate whose test is gone, however it went, is killed by the kernel: none is left behind.
"""

import ctypes
import importlib
import json
import mmap
import os
import signal
import struct
from pathlib import Path
from typing import Any, Final  # Any: a constant is of any type

from mailgate.cli import main
from mailgate.core.instants import Instant
from mailgate.runtime import SystemClock

VARIABLE: Final = "MAILGATE_CRASH"
CLOCK: Final = "mailgate.footing.SystemClock"
_MOVED: Final = struct.Struct("=qq")


class MovedClock(SystemClock):
    """The machine's clock, moved by so many microseconds as a file says; and so many more have passed, for the machine as well."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._moved = mmap.mmap(file.fileno(), _MOVED.size, prot=mmap.PROT_READ)

    def now(self) -> Instant:
        return Instant(super().now() + sum(_MOVED.unpack_from(self._moved)))

    def uptime(self) -> int:
        return super().uptime() + int(_MOVED.unpack_from(self._moved)[1])


def move_clock(path: Path, microseconds: int, *, passed: int = 0) -> None:
    """Move the clock of the gates that look at this file, and let time pass for them: for all, at once, also while they run."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, _MOVED.pack(microseconds, passed), 0)
    finally:
        os.close(descriptor)


def put(name: str, value: Any) -> None:
    """Set what a module calls by a name: `module.NAME`, or `module.NAME.key` where NAME is a dictionary."""
    holder, _, last = name.rpartition(".")
    try:
        module = importlib.import_module(holder)
    except ModuleNotFoundError:
        above, _, inner = holder.rpartition(".")
        table = getattr(importlib.import_module(above), inner)
        assert last in table, name
        table[last] = value
        return
    assert hasattr(module, last), name
    setattr(module, last, value)


def die_with_parent() -> None:
    """prctl(PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    die_with_parent()
    wanted = json.loads(os.environ.get(VARIABLE, "{}"))
    if "clock" in wanted:
        put(CLOCK, lambda: MovedClock(Path(wanted["clock"])))
    for constant, number in wanted.get("constants", {}).items():
        put(constant, number)
    main()
