"""Feed: what is due is claimed one batch ahead of the wire, and its copies are made.

- The next batch is claimed while copies of the one before are still being made, or signed. There is never more than that.
- The most urgent goes first. When an alarm is claimed, ordinary copies that have not begun are handed back at once.
- What has expired when its turn comes is not given to the relay.
- What is caught here is logged and gone on from: of the sender's modules it is the only one that catches everything.
- An exception while a batch is written is narrowed down row by row, and three on one row park that row. A store that does not work is no
  fault of a row: rows are handed back.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog

from mailgate.core.delivery import Event, Lane
from mailgate.core.instants import MINUTE, Instant, later
from mailgate.core.outages import StoreFull
from mailgate.core.relay import Copy, Deferred, Phase, Refused
from mailgate.journeys.care import Care
from mailgate.journeys.marks import Marks
from mailgate.journeys.ports import Unmakeable, Writer
from mailgate.journeys.ready import Ready
from mailgate.logs import fault_of
from mailgate.runtime import Clock
from mailgate.store import outbox
from mailgate.store.db import Db
from mailgate.store.outbox import Claimed

log = structlog.get_logger()
T = TypeVar("T")

LEASE: Final = 15 * MINUTE  # longer than the longest wait for an answer
_RENEW_AFTER_S: Final = 300.0
_FEW: Final = 20
_WRITES: Final = 2  # batches in work at once
_URGENT: Final = (Lane.ALARM, Lane.SINGLE)
_NOTHING: Final = Refused(phase=Phase.INTERNAL, code=None, enhanced=None, text="nothing to send")
_NOTHING_YET: Final = Deferred(phase=Phase.INTERNAL, code=None, enhanced=None, text="nothing to send yet")


class Feed:
    """Fills `ready` with copies of what is due, and nudges the relay."""

    def __init__(
        self,
        db: Db,
        writer: Writer,
        clock: Clock,
        *,
        marks: Marks,
        ready: Ready,
        care: Care,
        node: str,
        batch: int,
        pause_s: float,
        nudge: Callable[[], None],
    ) -> None:
        self._db = db
        self._writer = writer
        self._marks = marks
        self._ready = ready
        self._care = care
        self._clock = clock
        self._node = node
        self._batch = batch
        self._pause_s = pause_s
        self._nudge_relay = nudge
        self._writes: set[asyncio.Task[None]] = set()
        self._is_quiet = True  # the look before found little
        self._doubtful: list[int] = []  # rows that a claim may have leased before it failed
        self._renewed_at = clock.monotonic()

    async def look(self, *, is_urgent: bool) -> bool:
        """Claim what there is room for and have it written; `is_urgent`: something urgent may be due. True: look again at once."""
        rows = await self._claim(is_urgent=is_urgent)
        if rows:
            self._ready.expect(len(rows))
            self._writes.add(asyncio.create_task(self._write_in_time(rows)))
        await self._keep_leases()
        return bool(rows) and self._has_room

    def nudge(self) -> None:
        """The relay may find something to take. A fault of its own must not count against the rows that are being written just now."""
        try:
            self._nudge_relay()
        except Exception as error:  # noqa: BLE001  it looks again at the next nudge
            log.warning("sender.fault_caught", fault=fault_of(error))

    async def end(self) -> None:
        """What is being written comes to its end."""
        await self._written(but=0)

    def cut(self) -> None:
        """Nothing more is written."""
        for write in self._writes:
            write.cancel()

    async def _written(self, *, but: int) -> None:
        """No more than so many writes are in work."""
        while len(self._writes) > but:
            done, self._writes = await asyncio.wait(self._writes, return_when=asyncio.FIRST_COMPLETED)
            for write in done:
                write.result()

    @property
    def _has_room(self) -> bool:
        """No more than a batch is on its way."""
        return self._ready.supply <= self._batch

    # Claiming

    async def _claim(self, *, is_urgent: bool) -> list[Claimed]:
        """A batch if there is room for it; what is urgent comes on top of a full one."""
        if self._has_room:
            lanes, limit = tuple(Lane), self._batch
        elif is_urgent:
            lanes, limit = _URGENT, 3 * self._batch - self._ready.supply
        else:
            return []
        await self._written(but=_WRITES - 1)  # what is claimed is begun at once: nothing may come between
        now = self._clock.now()
        if self._doubtful:
            await outbox.release(self._db, self._doubtful, node=self._node, now=now)
            self._doubtful = []
        rows = await self._due(now=now, limit=await self._care.at_most(limit), lanes=lanes)
        if rows:
            rows = await self._lease(rows, now=now)
        self._care.claimed(rows)
        if any(row.lane is Lane.ALARM for row in rows):
            await self._written(but=0)
            self._ready.hand_back([Lane.ORDINARY])
        return rows

    async def _due(self, *, now: Instant, limit: int, lanes: Sequence[Lane]) -> list[Claimed]:
        """What is due. The way to a thread and back takes longer than a look at a few rows, and somebody waits for an answer."""
        if self._is_quiet:
            async with self._db.read(brief=True) as tx:
                rows = await outbox.due(tx, now=now, limit=limit, lanes=lanes)
        else:
            rows = await outbox.due(self._db, now=now, limit=limit, lanes=lanes)
        self._is_quiet = len(rows) < _FEW
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

    # Writing

    async def _write_in_time(self, rows: Sequence[Claimed]) -> None:
        now = self._clock.now()
        for row in rows:
            if row.expires_at <= now:
                self._marks.ended(row, Event.EXPIRE)
                self._ready.missed()
        if not await self._write([row for row in rows if row.expires_at > now]):
            await asyncio.sleep(self._pause_s)

    async def _write(self, rows: Sequence[Claimed]) -> bool:
        """Make their copies. False: the store did not work."""
        owed = {row.id: row for row in rows}

        def give(answers: Sequence[Copy | Unmakeable]) -> None:
            for answer in answers:
                self._sort(owed.pop(answer.id), answer)
            self.nudge()

        end = await caught(self._writer.write(rows, give)) if rows else None
        left = [*owed.values()]
        match end:
            case sqlite3.Error() | StoreFull() | OSError():
                for row in left:
                    self._marks.ended(row, Event.RELEASE)
                    self._ready.missed()
                return False
            case Exception() if len(left) > 1:
                return all([await self._write([row]) for row in left])
            case _:
                for row in left:
                    self._marks.stumbled(row, "no answer" if end is None else type(end).__name__)
                    self._ready.missed()
        return True

    def _sort(self, row: Claimed, answer: Copy | Unmakeable) -> None:
        """A copy to the wire, anything else to the marks."""
        match answer:
            case Copy():
                self._ready.add(row, answer)
            case Unmakeable(permanent=permanent):
                self._marks.answered(row, _NOTHING if permanent else _NOTHING_YET)
                self._ready.missed()


async def caught(work: Awaitable[T]) -> T | Exception:
    """What the work gives, or the exception it raised, logged."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001  the next mail is owed all the same
        log.warning("sender.fault_caught", fault=fault_of(error))
        return error
