"""Deliver: the sender drains the outbox.

The relay takes copies by itself as its connections come free, and says what became of each (ready.py). Three tasks do the rest:
- one *unfolds*: it lets broadcasts expand and end;
- one *feeds*: it claims what is due one batch ahead of the wire, and has it written. The most urgent copy goes first, and when an alarm is
  claimed, ordinary copies that have not begun are handed back at once;
- one *marks*: what has become of rows is committed, one batch after the other, without a timer (marks.py).

Rules:
- A copy is in flight from its first byte until its mark is committed, and at most `window` copies are: a kill duplicates no more.
- What has expired when its turn comes is not given to the relay.
- A relay that cannot be reached costs a row no attempt; how it rests is its own affair.
- An exception while a batch is written is narrowed down row by row, and three on one row park that row, those of the relay among them. A
  store that does not work is no fault of a row: rows are handed back.
- What is caught here is logged and gone on from, since the next mail is owed all the same. It is the only place that catches everything.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Sequence
from typing import Final, TypeVar

import structlog

from mailgate.core.delivery import Event, Lane
from mailgate.core.instants import MINUTE, Instant, later
from mailgate.core.outages import StoreFull
from mailgate.core.relay import Copy, Deferred, Phase, Refused, Relay
from mailgate.journeys.care import Care
from mailgate.journeys.marks import Marks
from mailgate.journeys.ports import Expander, Unmakeable, Writer
from mailgate.journeys.ready import Ready
from mailgate.logs import fault_of
from mailgate.runtime import Clock, Dice
from mailgate.store import outbox
from mailgate.store.db import Db
from mailgate.store.outbox import Claimed

log = structlog.get_logger()
T = TypeVar("T")

BATCH: Final = 500
LEASE: Final = 15 * MINUTE  # longer than the longest wait for an answer
_RENEW_AFTER_S: Final = 300.0
_URGENT: Final = (Lane.ALARM, Lane.SINGLE)
_NOTHING: Final = Refused(phase=Phase.INTERNAL, code=None, enhanced=None, text="nothing to send")
_NOTHING_YET: Final = Deferred(phase=Phase.INTERNAL, code=None, enhanced=None, text="nothing to send yet")


class Sender:
    """Drains the outbox into a relay. There is one of it: whoever builds it holds the single-sender lock."""

    def __init__(
        self,
        *,
        db: Db,
        relay: Relay,
        writer: Writer,
        expander: Expander,
        clock: Clock,
        dice: Dice,
        node: str = "gate",
        window: int = 64,
        batch: int = BATCH,
        grace_s: float = 10.0,
        look_s: float = 1.0,  # between two looks when nobody wakes it
        pause_s: float = 1.0,  # after a fault
    ) -> None:
        self._db = db
        self._relay = relay
        self._writer = writer
        self._expander = expander
        self._clock = clock
        self._node = node
        self._batch = batch
        self._grace_s = grace_s
        self._look_s = look_s
        self._pause_s = pause_s
        self._marks = Marks(db=db, clock=clock, dice=dice, node=node, window=window)
        self._news = asyncio.Event()  # there may be something to expand or to end
        self._stir = asyncio.Event()  # the feeder should look
        self._is_urgent = True  # ... and not only whether copies are left
        self._ready = Ready(self._marks, clock, low=batch, on_low=self._stir.set)
        self._care = Care(db=db, clock=clock)
        self._is_leaving = False
        self._doubtful: list[int] = []  # rows that a claim may have leased before it failed
        self._renewed_at = clock.monotonic()

    def wake(self) -> None:
        """Something is due: look now."""
        self._news.set()
        self._is_urgent = True
        self._stir.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop; then let copies under way end within the grace, hand back the rest, and close the relay."""
        try:
            await self._begin(stop)
            self._relay.start(self._ready)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in (self._watch(stop), self._unfold(), self._mark())]
                await self._feed(stop)
                await self._let_end()
                for task in tasks:
                    task.cancel()
            await self._leave()
            await _caught(self._care.end())
        finally:
            await self._relay.close(0)  # has happened, unless somebody cut us down

    async def _begin(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            freed = await _caught(self._free_own())
            if not isinstance(freed, Exception):
                log.info("sender.started", freed=freed)
                return
            await asyncio.sleep(self._pause_s)

    async def _free_own(self) -> int:
        now = self._clock.now()
        async with self._db.write() as tx:
            await self._care.begin(tx, now=now)
            return await outbox.free_leases(tx, node=self._node, now=now)

    async def _watch(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stir.set()

    async def _let_end(self) -> None:
        loop = asyncio.get_running_loop()
        over_at = loop.time() + self._grace_s
        self._is_leaving = True
        self._ready.hand_back(Lane)
        await self._relay.close(self._grace_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(max(over_at, loop.time() + self._pause_s)):
                while self._marks.is_owing:
                    self._stir.clear()
                    await self._stir.wait()

    async def _leave(self) -> None:
        self._marks.hand_back_all()
        if self._marks.is_owing:
            await _caught(self._marks.commit())  # else the next start takes the leases back

    # Unfolding

    async def _unfold(self) -> None:
        is_time = True
        while True:
            self._news.clear()
            more = await _caught(self._expander.step())
            if more is True:
                self._stir.set()
                continue
            if is_time or self._marks.drained:
                self._marks.drained = False
                await _caught(self._expander.settle())
            is_time = not await self._rest(self._news, self._pause_s if isinstance(more, Exception) else self._look_s)

    async def _rest(self, until: asyncio.Event, at_most_s: float) -> bool:
        """True: it was over before its time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                return await until.wait()
        return False

    # Feeding

    async def _feed(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._stir.clear()
            again = await _caught(self._look())
            if isinstance(again, Exception):
                await asyncio.sleep(self._pause_s)
            elif not again and not await self._rest(self._stir, self._look_s):
                self._is_urgent = True

    async def _look(self) -> bool:
        """Claim and write. True: look again at once."""
        is_urgent, self._is_urgent = self._is_urgent, False
        works = await self._write(rows := await self._claim(is_urgent=is_urgent))
        self._nudge()
        if not works:
            await asyncio.sleep(self._pause_s)
        await self._keep_leases()
        return bool(rows) and self._has_room

    @property
    def _has_room(self) -> bool:
        """No more than a batch waits."""
        return self._ready.waiting <= self._batch

    async def _claim(self, *, is_urgent: bool) -> list[Claimed]:
        """A batch if there is room for it; what is urgent comes on top of a full one."""
        if self._has_room:
            lanes, limit = tuple(Lane), self._batch
        elif is_urgent:
            lanes, limit = _URGENT, 3 * self._batch - self._ready.waiting
        else:
            return []
        now = self._clock.now()
        if self._doubtful:
            await outbox.release(self._db, self._doubtful, node=self._node, now=now)
            self._doubtful = []
        rows = await outbox.due(self._db, now=now, limit=await self._care.at_most(limit), lanes=lanes)
        if rows:
            rows = await self._lease(rows, now=now)
        self._care.claimed(rows)
        if any(row.lane is Lane.ALARM for row in rows):
            self._ready.hand_back([Lane.ORDINARY])
        return rows

    async def _lease(self, rows: Sequence[Claimed], *, now: Instant) -> list[Claimed]:
        """Those that we have now. If it fails they may be leased all the same, and nobody else frees them."""
        self._doubtful = [row.id for row in rows if self._marks.in_flight(row.id) is None]
        rows = await outbox.claim(self._db, rows, now=now, until=later(now, LEASE), node=self._node)
        self._doubtful = []
        return self._marks.hold(rows)

    async def _keep_leases(self) -> None:
        if self._clock.monotonic() - self._renewed_at < _RENEW_AFTER_S:
            return
        now = self._clock.now()
        async with self._db.write() as tx:
            await outbox.renew_leases(tx, self._marks.held, node=self._node, until=later(now, LEASE))
            await outbox.free_expired_leases(tx, node=self._node, now=now)
        self._renewed_at = self._clock.monotonic()

    async def _write(self, rows: Sequence[Claimed]) -> bool:
        """Make copies of what is not too late. False: the store did not work."""
        owed = {row.id: row for row in self._still_in_time(rows)}

        def give(answers: Sequence[Copy | Unmakeable]) -> None:
            for answer in answers:
                self._sort(owed.pop(answer.id), answer)
            self._nudge()

        end = await _caught(self._writer.write([*owed.values()], give)) if owed else None
        left = [*owed.values()]
        match end:
            case sqlite3.Error() | StoreFull() | OSError():
                for row in left:
                    self._marks.ended(row, Event.RELEASE)
                return False
            case Exception() if len(left) == 1:
                self._marks.stumbled(left[0], type(end).__name__)
            case Exception():
                return all([await self._write([row]) for row in left])
            case None:
                for row in left:
                    self._marks.stumbled(row, "no answer")
        return True

    def _still_in_time(self, rows: Sequence[Claimed]) -> list[Claimed]:
        now = self._clock.now()
        for row in rows:
            if row.expires_at <= now:
                self._marks.ended(row, Event.EXPIRE)
        return [row for row in rows if row.expires_at > now]

    def _sort(self, row: Claimed, answer: Copy | Unmakeable) -> None:
        """A copy to the wire, anything else to the marks."""
        match answer:
            case Copy():
                self._ready.add(row, answer)
            case Unmakeable(permanent=permanent):
                self._marks.answered(row, _NOTHING if permanent else _NOTHING_YET)

    def _nudge(self) -> None:
        try:
            self._relay.nudge()
        except Exception as error:  # noqa: BLE001  it looks again at the next nudge
            log.warning("sender.fault_caught", fault=fault_of(error))

    # Marking

    async def _mark(self) -> None:
        while True:
            await self._marks.some.wait()
            self._marks.some.clear()
            while self._marks.is_owing:
                if isinstance(await _caught(self._marks.commit()), Exception):
                    await asyncio.sleep(self._pause_s)
                else:
                    self._nudge()
            if self._marks.drained:
                self._news.set()
            if self._care.is_careful or self._is_leaving:
                self._stir.set()


async def _caught(work: Awaitable[T]) -> T | Exception:
    """What the work gives, or the exception it raised, logged."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001  the next mail is owed all the same
        log.warning("sender.fault_caught", fault=fault_of(error))
        return error
