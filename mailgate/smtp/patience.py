"""Patience: how long we wait for a peer, by one timer for all of a connection.

A conversation waits a dozen times for a few milliseconds, and a timer for each wait costs more than most of what is said meanwhile. So only
the end of the wait is written down; the timer rings at the earliest end that it was ever set to, looks, and sets itself anew.
"""

import asyncio
import math
from collections.abc import Callable


class Patience:
    """Calls `lost` when a wait lasts too long."""

    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._rings_at = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> None:
        """Wait so long from now on."""
        self._ends_at = self._loop.time() + seconds
        if self._ends_at < self._rings_at:
            self.close()
            self._set(self._ends_at)

    def end(self) -> None:
        """The wait is over."""
        self._ends_at = math.inf

    def close(self) -> None:
        """Nobody is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = math.inf

    def _set(self, at: float) -> None:
        self._rings_at = at
        self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._rings_at = math.inf
        if self._ends_at <= self._loop.time():
            self._ends_at = math.inf
            self._lost()
        elif self._ends_at < math.inf:
            self._set(self._ends_at)
