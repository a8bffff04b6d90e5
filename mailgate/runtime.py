"""The only clock and the only dice.

Everything that needs the time or a random number is given one of these two, so that a test can hold both still. No other module
imports `time`, `random` or `secrets`.
"""

import random
import secrets
import time
from typing import Protocol

from mailgate.core.instants import Instant


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> Instant:
        """The instant it is: microseconds since 1970 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that nobody sets: for durations only."""
        ...


class Dice(Protocol):
    """Draws."""

    def octets(self, count: int) -> bytes:
        """So many unpredictable octets."""
        ...

    def row_id(self) -> int:
        """An unpredictable positive 62-bit id for a row, drawn before the insert."""
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


class SystemDice:
    """The operating system's generator; jitter alone needs no secrecy."""

    def octets(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def row_id(self) -> int:
        return secrets.randbits(62) | 1

    def text(self, alphabet: str, count: int) -> str:
        return "".join(secrets.choice(alphabet) for _ in range(count))

    def jitter(self) -> float:
        return random.uniform(-1.0, 1.0)  # spreads retries: predictable is fine
