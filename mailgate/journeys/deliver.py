"""Deliver: the sender drains the outbox.

The relay takes copies by itself as its connections come free, and says what became of each (ready.py). Two tasks do the rest:
- one *feeds*: it lets broadcasts expand, claims what is due one batch ahead of the wire, and has it written. The most urgent copy goes
  first, and when an alarm is claimed, ordinary copies that have not begun are handed back at once;
- one *marks*: what has become of rows is committed by one transaction after the other, without a timer (marks.py).

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
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import structlog

from mailgate.core.delivery import Event, Lane
from mailgate.core.instants import MINUTE, later
from mailgate.core.outages import StoreFull
from mailgate.core.relay import Copy, Deferred, Phase, Refused, Relay
from mailgate.journeys.care import Care
from mailgate.journeys.marks import Marks
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmakeable:
    """There is no copy to be made of a row: never, or not now."""

    id: int
    permanent: bool


class Writer(Protocol):
    """Makes copies of claimed rows."""

    async def write(self, rows: Sequence[Claimed]) -> list[Copy | Unmakeable]:
        """One answer for each row, in any order."""
        ...


class Expander(Protocol):
    """The life of broadcasts, as far as the sender drives it."""

    async def step(self) -> bool:
        """Expand one chunk of a confirmed broadcast. True: there may be more to do."""
        ...

    async def settle(self) -> None:
        """Let broadcasts end of which nothing is owed any more."""
        ...


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
        self._stir = asyncio.Event()  # the feeder should look
        self._ready = Ready(self._marks, clock, low=batch // 2, on_low=self._stir.set)
        self._care = Care(db=db, clock=clock)
        self._is_leaving = False
        self._renewed_at = clock.monotonic()

    def wake(self) -> None:
        """Something is due: look now."""
        self._stir.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Send until told to stop; then let copies under way end within the grace, hand back the rest, and close the relay."""
        try:
            await self._begin(stop)
            self._relay.start(self._ready)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._watch(stop)), group.create_task(self._mark())]
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

    # Feeding

    async def _feed(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._stir.clear()
            again = await _caught(self._look())
            if isinstance(again, Exception):
                await asyncio.sleep(self._pause_s)
            elif not again:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._look_s):
                        await self._stir.wait()

    async def _look(self) -> bool:
        """Do what there is to do. True: look again at once."""
        more = await _caught(self._expander.step())
        works = await self._write(rows := await self._claim())
        self._nudge()
        if not works:
            await asyncio.sleep(self._pause_s)
        if not rows or self._marks.drained:
            self._marks.drained = False
            await _caught(self._expander.settle())
        await self._keep_leases()
        return more is True or bool(rows)

    async def _claim(self) -> list[Claimed]:
        """A batch when less than half of one waits; what is urgent comes on top of a full one."""
        has_room = self._ready.waiting <= self._batch // 2
        lanes, limit = (tuple(Lane), self._batch) if has_room else (_URGENT, 2 * self._batch - self._ready.waiting)
        now = self._clock.now()
        async with self._db.write() as tx:
            limit = await self._care.at_most(tx, limit)
            rows = await outbox.claim(tx, now=now, until=later(now, LEASE), node=self._node, limit=limit, lanes=lanes)
        rows = [row for row in rows if self._marks.in_flight(row.id) is None]  # it may be so if its lease had run out
        self._care.claimed(rows)
        self._marks.hold(rows)
        if any(row.lane is Lane.ALARM for row in rows):
            self._ready.hand_back([Lane.ORDINARY])
        return rows

    async def _keep_leases(self) -> None:
        if self._clock.monotonic() - self._renewed_at < _RENEW_AFTER_S:
            return
        now = self._clock.now()
        async with self._db.write() as tx:
            await outbox.renew_leases(tx, node=self._node, until=later(now, LEASE))
            await outbox.free_expired_leases(tx, node=self._node, now=now)
        self._renewed_at = self._clock.monotonic()

    async def _write(self, rows: Sequence[Claimed]) -> bool:
        """Make copies of what is not too late. False: the store did not work."""
        now = self._clock.now()
        for row in rows:
            if row.expires_at <= now:
                self._marks.ended(row, Event.EXPIRE)
        fresh = [row for row in rows if row.expires_at > now]
        made = await _caught(self._writer.write(fresh)) if fresh else []
        match made:
            case sqlite3.Error() | StoreFull() | OSError():
                for row in fresh:
                    self._marks.ended(row, Event.RELEASE)
                return False
            case Exception() if len(fresh) == 1:
                self._marks.stumbled(fresh[0], type(made).__name__)
            case Exception():
                return all([await self._write([row]) for row in fresh])
            case _:
                self._sort(fresh, made)
        return True

    def _sort(self, rows: Sequence[Claimed], made: Sequence[Copy | Unmakeable]) -> None:
        """Copies to the wire, the rest to the marks. A row without an answer counts as one that made us stumble."""
        answers = {answer.id: answer for answer in made}
        for row in rows:
            match answers.get(row.id):
                case Copy() as copy:
                    self._ready.add(row, copy)
                case Unmakeable(permanent=permanent):
                    self._marks.answered(row, _NOTHING if permanent else _NOTHING_YET)
                case None:
                    self._marks.stumbled(row, "no answer")

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
            if self._marks.drained or self._care.is_careful or self._is_leaving:
                self._stir.set()


async def _caught(work: Awaitable[T]) -> T | Exception:
    """What the work gives, or the exception it raised, logged."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001  the next mail is owed all the same
        log.warning("sender.fault_caught", fault=fault_of(error))
        return error
