"""The only clock and the only dice.

Everything that needs the time or a random number is given one of these two, so that a test can hold both still. No other module
imports `time`, `random` or `secrets`.

What the gate is given is a `SteadyClock`, which does not believe a machine's clock that jumps; how far, core.timekeeping decides.
"""

import gc
import os
import random
import secrets
import sys
import time
from pathlib import Path
from typing import Final, Protocol

from mailgate.core import timekeeping
from mailgate.core.instants import Instant
from mailgate.core.timekeeping import NO_LIMIT, SETTLING, Moment

# In a service that sees no more of /proc than processes, the unit says it (systemd's %b).
_BOOT: Final = "MAILGATE_BOOT"
_BOOT_FILE: Final = Path("/proc/sys/kernel/random/boot_id")
_DRAWN_BITS: Final = 22  # of a row's id; the milliseconds above them, since 2020, have 41 until 2089
_IDS_BEGIN_MS: Final = 1_577_836_800_000
# Goes on while the machine sleeps; where there is none such, sleep looks like a clock that jumps.
_UPTIME: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> Instant:
        """The instant it is: microseconds since 1970 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that nobody sets: for durations only."""
        ...


class KeptClock(Clock, Protocol):
    """A clock whose time is written down, and which may find that the machine's is wrong."""

    def moment(self) -> Moment:
        """What time it is, as it is written down."""
        ...

    def doubt(self) -> int:
        """How far ahead (negative: behind) the machine's clock is, in microseconds, if it is not believed; else 0."""
        ...


class Dice(Protocol):
    """Draws."""

    def octets(self, count: int) -> bytes:
        """So many unpredictable octets."""
        ...

    def row_id(self) -> int:
        """A positive id for a row, drawn before the insert, that nobody can foretell.

        Later ones are larger: what came together lies together in the tables, and a broadcast finds it in a page or two.
        """
        ...

    def text(self, alphabet: str, count: int) -> str:
        """So many unpredictable characters of an alphabet, each as likely as the next."""
        ...

    def jitter(self) -> float:
        """A number between -1 and 1, to spread retries."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> Instant:
        return Instant(time.time_ns() // 1_000)

    def monotonic(self) -> float:
        return time.monotonic()

    def uptime(self) -> int:
        """For how long the machine has been up, in microseconds: on a clock that nobody sets."""
        return time.clock_gettime_ns(_UPTIME) // 1_000

    def boot(self) -> str:
        """Which boot of the machine this is; "" where it does not say."""
        try:
            return (os.environ.get(_BOOT) or _BOOT_FILE.read_text(encoding="ascii")).strip().replace("-", "")
        except OSError:
            return ""

    def moment(self) -> Moment:
        """All that the machine says."""
        return Moment(at=self.now(), boot=self.boot(), uptime=self.uptime())


class SteadyClock:
    """The gate's time: that of the machine's clock, as long as it is believed."""

    def __init__(self, machine: SystemClock, begin: Moment) -> None:
        self._machine = machine
        self._boot = begin.boot
        self._at = self._wall = begin.at
        self._uptime = begin.uptime
        self._limit = begin.limit

    def now(self) -> Instant:
        uptime, self._wall = self._machine.uptime(), self._machine.now()
        limit = self._limit if uptime < SETTLING else NO_LIMIT
        self._at = timekeeping.go_on(self._at, lived=uptime - self._uptime, wall=self._wall, limit=limit)
        self._uptime = uptime
        return self._at

    def monotonic(self) -> float:
        return self._machine.monotonic()

    def moment(self) -> Moment:
        return Moment(at=self.now(), boot=self._boot, uptime=self._uptime, limit=self._limit)

    def doubt(self) -> int:
        return timekeeping.doubt(now=self.now(), wall=self._wall)


class SystemDice:
    """The operating system's generator; jitter alone needs no secrecy."""

    def octets(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def row_id(self) -> int:
        return time.time_ns() // 1_000_000 - _IDS_BEGIN_MS << _DRAWN_BITS | secrets.randbits(_DRAWN_BITS)

    def text(self, alphabet: str, count: int) -> str:
        return "".join(secrets.choice(alphabet) for _ in range(count))

    def jitter(self) -> float:
        return random.uniform(-1.0, 1.0)  # spreads retries: predictable is fine


def tune_interpreter() -> None:
    """Once, in a process that has started: less waiting for each other between the loop and the store's threads, and fewer collections.

    A thread of the store needs the interpreter for microseconds, many times a second; by default a busy loop keeps it waiting for five
    milliseconds each time. Hardly anything of a mail's way leaves cycles behind, so the collector may look more rarely, and need not look
    at what was there from the start.
    """
    sys.setswitchinterval(50e-6)
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
