"""Standby: which of several next servers has our mail now.

The first is the one that should have it. It counts as away when it could not be reached for some seconds on end and no connection to it is
open: one that only takes no further connection is at work. Then the next in line has its turn, by the same rule, and after the last the
first again. Once the first answers anybody, everything goes back to it.
"""


class Standby:
    """Who has the turn among `count` servers: `turn` is its place in line, 0 the first's."""

    __slots__ = ("_away_s", "_count", "_since", "turn")

    def __init__(self, count: int, *, away_s: float) -> None:
        self._count = count
        self._away_s = away_s
        self._since: float | None = None
        self.turn = 0

    def failed(self, which: int, *, begun: float, now: float, in_use: bool) -> bool:
        """A server could not be reached; `begun` is when it was tried. True: the turn has gone to another one."""
        if which != self.turn:
            return False
        self._since = None if in_use else begun if self._since is None else self._since
        if self._since is None or now - self._since < self._away_s or self._count == 1:
            return False
        self._pass_to((which + 1) % self._count)
        return True

    def reached(self, which: int) -> bool:
        """A server answered and lets us in. True: the turn has gone back to the first."""
        if which == self.turn:
            self._since = None
        elif which == 0:
            self._pass_to(0)
            return True
        return False

    def _pass_to(self, which: int) -> None:
        self.turn = which
        self._since = None
