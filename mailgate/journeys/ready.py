"""Ready: the copies that are written and wait for the relay, which takes them one by one as its connections come free.

The most urgent goes first, in a lane the one that came first. A copy has a place of the window before it is given away, and what has
expired by then is not given away at all. What the relay says of a copy goes to the marks: a fault of ours counts against its row, and what
was cut off is owed as it was.
"""

from collections import deque
from collections.abc import Callable, Iterable

from mailgate.core.delivery import Event, Lane
from mailgate.core.relay import CUT, Copy, Deferred, Outcome, Phase
from mailgate.journeys.marks import Marks
from mailgate.runtime import Clock
from mailgate.store.outbox import Claimed


class Ready:
    """The source (core.relay.Source) of the relay.

    `supply` is how many copies wait or are expected; `on_low` is called when it has come down to `low`.
    """

    def __init__(self, marks: Marks, clock: Clock, *, low: int, on_low: Callable[[], None]) -> None:
        self._marks = marks
        self._clock = clock
        self._low = low
        self._on_low = on_low
        self._by_lane: dict[Lane, deque[tuple[Claimed, Copy]]] = {lane: deque() for lane in sorted(Lane)}
        self.supply = 0

    def expect(self, count: int) -> None:
        """So many rows are being written: each is added, or missed."""
        self.supply += count

    def missed(self) -> None:
        """Of one of them there is no copy."""
        self._one_less()

    def _one_less(self) -> None:
        self.supply -= 1
        if self.supply == self._low:
            self._on_low()

    def add(self, row: Claimed, copy: Copy) -> None:
        """A copy of a row has been written."""
        self._by_lane[row.lane].append((row, copy))

    def hand_back(self, lanes: Iterable[Lane]) -> None:
        """Owe again what has not begun in some lanes."""
        for jobs in [self._by_lane[lane] for lane in lanes]:
            for row, _ in jobs:
                self._marks.ended(row, Event.RELEASE)
            self.supply -= len(jobs)
            jobs.clear()

    def take(self) -> Copy | None:
        """The most urgent copy, if the window has a place for it."""
        if self._marks.is_full:
            return None
        for jobs in self._by_lane.values():
            while jobs:
                row, copy = jobs.popleft()
                self._one_less()
                if row.expires_at > self._clock.now():
                    self._marks.take_off(row)
                    return copy
                self._marks.ended(row, Event.EXPIRE)
        return None

    def done(self, copy: Copy, outcome: Outcome) -> None:
        """What became of a copy."""
        row = self._marks.in_flight(copy.id)
        assert row is not None
        if not isinstance(outcome, Deferred) or outcome.phase is not Phase.INTERNAL:
            self._marks.answered(row, outcome)
        elif outcome is CUT:
            self._marks.ended(row, Event.RELEASE)
        else:
            self._marks.stumbled(row, outcome.text)
