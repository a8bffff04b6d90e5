"""Marks: which rows the sender has in its hands, what has become of them, and the transactions that say so.

- A row is held from its claim until the COMMIT of what became of it. What could not be committed stays where it is and is in the next
  transaction: nothing is forgotten, and saying it twice changes nothing.
- A row takes off before the first byte of its copy goes out. From then on it has a place of the window, which is free again only after
  that COMMIT.
- What an outcome means is decided here, once: accepted ends, refused ends, all else is tried again by the schedule of its lane. A relay
  that cannot be reached costs a row no attempt. An exception costs no attempt either; three on one row park it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

import structlog

from mailgate.core.delivery import Event, retry_at
from mailgate.core.instants import SECOND, Instant, later
from mailgate.core.relay import BEFORE_ANY_COPY, Accepted, Deferred, Outcome, Phase, Refused, enhanced_of
from mailgate.runtime import Clock, Dice
from mailgate.store import outbox
from mailgate.store.db import Db, Statements
from mailgate.store.outbox import Claimed, Mark

log = structlog.get_logger()

MAX_FAULTS: Final = 3
RELAY_AWAY: Final = 5 * SECOND


class _Result(NamedTuple):
    row: Claimed
    event: Event
    mark: Mark | None = None  # None: nobody answered anything


class Marks:
    """The rows of one sender.

    `some` is set when there is something to commit, `many` when it is worth a COMMIT, `drained` when a broadcast has no row here any more.
    """

    def __init__(self, *, db: Db, clock: Clock, dice: Dice, node: str, window: int) -> None:
        self._db = db
        self._clock = clock
        self._dice = dice
        self._node = node
        self._held: dict[int, Claimed] = {}
        self._held_of: Counter[int] = Counter()
        self._in_flight: dict[int, Claimed] = {}
        self._window = window
        self._results: list[_Result] = []
        self._worth_it = max(1, window * 3 // 4)
        self.some = asyncio.Event()
        self.many = asyncio.Event()
        self.drained = False

    def hold(self, rows: Iterable[Claimed]) -> list[Claimed]:
        """Rows that were claimed just now; those that are to be begun. A copy may be out already, if its lease had run out."""
        fresh = [row for row in rows if row.id not in self._in_flight]
        for row in fresh:
            self._held[row.id] = row
            if row.broadcast_id is not None:
                self._held_of[row.broadcast_id] += 1
        return fresh

    @property
    def held(self) -> list[int]:
        """The ids of all rows in hand."""
        return [*self._held]

    @property
    def is_full(self) -> bool:
        """The window has no place."""
        return len(self._in_flight) >= self._window

    def take_off(self, row: Claimed) -> None:
        """A row's copy goes out now."""
        self._in_flight[row.id] = row

    def in_flight(self, id_: int) -> Claimed | None:
        """The row whose copy is out, or back and not marked."""
        return self._in_flight.get(id_)

    def ended(self, row: Claimed, event: Event) -> None:
        """A row is handed back or has expired: nobody answered anything."""
        self._add(_Result(row, event))

    def answered(self, row: Claimed, outcome: Outcome) -> None:
        """An outcome for a row."""
        match outcome:
            case Accepted(code=code, text=text):
                event = Event.ACCEPT
                mark = Mark(row.id, Phase.EOD, code, enhanced_of(text), text)
            case Refused():
                event = Event.REFUSE
                mark = Mark(
                    id=row.id, phase=outcome.phase, code=outcome.code, enhanced=outcome.enhanced, text=outcome.text
                )
            case Deferred():
                now = self._clock.now()
                event, attempts = Event.DEFER, 0 if is_away(outcome) else 1
                due_at = (
                    self._retry_at(row, row.attempt + 1, now)
                    if attempts
                    else min(later(now, RELAY_AWAY), row.expires_at)
                )
                mark = Mark(
                    id=row.id,
                    phase=outcome.phase,
                    code=outcome.code,
                    enhanced=outcome.enhanced,
                    text=outcome.text,
                    due_at=Instant(due_at),
                    attempts=attempts,
                )
        self._add(_Result(row, event, mark))

    def stumbled(self, row: Claimed, fault: str) -> None:
        """An exception was caught while working on this very row."""
        faults = row.faults + 1
        mark = Mark(
            id=row.id,
            phase=Phase.INTERNAL,
            code=None,
            enhanced=None,
            text=fault,
            due_at=self._retry_at(row, faults, self._clock.now()),
            attempts=0,
            faults=1,
        )
        event = Event.PARK if faults >= MAX_FAULTS else Event.DEFER
        self._add(_Result(row, event, mark))

    def hand_back_all(self) -> None:
        """Owe again whatever is held and has no result: the sender leaves."""
        known = {result.row.id for result in self._results}
        for row in self._held.values():
            if row.id not in known:
                self.ended(row, Event.RELEASE)

    async def commit(self) -> None:
        """Commit what has come together until now. Saying it twice changes nothing, so several statements may be several transactions."""
        batch = self._results[:]
        by_event: dict[Event, list[_Result]] = {}
        for result in batch:
            by_event.setdefault(result.event, []).append(result)
        if len(by_event) == 1:
            for event, results in by_event.items():
                await self._write(self._db, event, results)
        else:
            async with self._db.write() as tx:
                for event, results in by_event.items():
                    await self._write(tx, event, results)
        del self._results[: len(batch)]
        if len(self._results) < self._worth_it:
            self.many.clear()
        for result in batch:
            self._let_go(result)

    async def _write(self, tx: Statements, event: Event, results: list[_Result]) -> None:
        now, node = self._clock.now(), self._node
        marks = [result.mark for result in results if result.mark is not None]
        ids = [result.row.id for result in results]
        match event:
            case Event.ACCEPT:
                await outbox.mark_handed_over(tx, marks, now=now)
            case Event.DEFER:
                await outbox.mark_deferred(tx, marks, node=node, now=now)
            case Event.REFUSE | Event.PARK:
                await outbox.mark_failed(tx, marks, node=node, now=now)
            case Event.EXPIRE:
                await outbox.mark_expired(tx, ids, node=node, now=now)
            case _:
                await outbox.release(tx, ids, node=node, now=now)

    def _let_go(self, result: _Result) -> None:
        row = result.row
        if self._held.get(row.id) is row:  # else it was handed back and claimed again by the very same COMMIT
            del self._held[row.id]
        if self._in_flight.get(row.id) is row:
            del self._in_flight[row.id]
        if row.broadcast_id is not None:
            self._held_of[row.broadcast_id] -= 1
            if self._held_of[row.broadcast_id] == 0:
                del self._held_of[row.broadcast_id]
                self.drained = True
        if result.event is not Event.ACCEPT:
            _tell(result)

    def _retry_at(self, row: Claimed, attempt: int, now: Instant) -> Instant:
        return retry_at(row.lane, attempt, now=now, expires_at=row.expires_at, jitter=self._dice.jitter())

    def _add(self, result: _Result) -> None:
        self._results.append(result)
        self.some.set()
        if len(self._results) >= self._worth_it:
            self.many.set()

    @property
    def is_owing(self) -> bool:
        """There is something to commit."""
        return bool(self._results)


def is_away(outcome: Outcome) -> bool:
    """The relay could not be spoken to: this says nothing about the copy."""
    return isinstance(outcome, Deferred) and outcome.phase in BEFORE_ANY_COPY


def _tell(result: _Result) -> None:
    delivery, mark = result.row.id, result.mark
    match result.event:
        case Event.DEFER if mark is not None:
            log.info("delivery.deferred", delivery=delivery, phase=mark.phase, reply=mark.code, due=mark.due_at)
        case Event.REFUSE if mark is not None:
            log.warning(
                "delivery.refused", delivery=delivery, phase=mark.phase, reply=mark.code, enhanced=mark.enhanced
            )
        case Event.PARK if mark is not None:
            log.error("delivery.parked", delivery=delivery, fault=mark.text)
        case Event.EXPIRE:
            log.warning("delivery.expired", delivery=delivery)
