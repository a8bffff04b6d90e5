"""Pace: how many mails a second a relay is given.

A relay that is slower than we are keeps what it has taken, and what it has taken cannot be halted any more. So it is given no more than it
empties. The bucket is a GCRA over seconds on a clock that nobody sets: it remembers when it would be empty again. A tenth of a second's
worth may go at once, since timers are no finer than that where it matters.
"""

from typing import Final

_AT_ONCE_S: Final = 0.1


class Pace:
    """A token bucket. It is asked before something is taken, and told after."""

    __slots__ = ("_ahead_s", "_empty_at", "_step_s")

    def __init__(self, rate: float) -> None:
        self._step_s = 1 / rate
        self._ahead_s = max(0.0, _AT_ONCE_S - self._step_s)
        self._empty_at = 0.0

    def wait_s(self, now: float) -> float:
        """In how many seconds the next one may go; 0: now."""
        return max(0.0, self._empty_at - self._ahead_s - now)

    def spend(self, now: float) -> None:
        """One goes."""
        self._empty_at = max(self._empty_at, now) + self._step_s
