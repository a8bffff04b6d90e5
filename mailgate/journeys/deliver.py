"""Deliver: the sender drains the outbox.

The relay takes copies by itself as its connections come free, and says what became of each (ready.py). Three tasks do the rest:
- one *unfolds*: it lets broadcasts expand and end;
- one *feeds*: it claims what is due one batch ahead of the wire, and has its copies made (feed.py);
- one *marks*: what has become of rows is committed, one batch after the other. A COMMIT costs as much as sixty marks, so it waits for three
  quarters of the window to come together, five milliseconds at most (marks.py).

Rules:
- A copy is in flight from its first byte until its mark is committed, and at most `window` copies are: a kill duplicates no more.
- A relay that cannot be reached costs a row no attempt; how it rests is its own affair.
- What goes wrong is logged and gone on from, since the next mail is owed all the same (`caught` in feed.py).
"""

import asyncio
import contextlib
from typing import Final

import structlog

from mailgate.core.delivery import Lane
from mailgate.core.relay import Relay
from mailgate.journeys.care import Care
from mailgate.journeys.feed import Feed, caught
from mailgate.journeys.marks import Marks
from mailgate.journeys.ports import Expander, Writer
from mailgate.journeys.ready import Ready
from mailgate.runtime import Clock, Dice
from mailgate.store import outbox
from mailgate.store.db import Db

log = structlog.get_logger()

BATCH: Final = 500
_GATHER_S: Final = 0.005


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
        self._expander = expander
        self._clock = clock
        self._node = node
        self._grace_s = grace_s
        self._look_s = look_s
        self._pause_s = pause_s
        self._marks = Marks(db=db, clock=clock, dice=dice, node=node, window=window)
        self._news = asyncio.Event()  # there may be something to expand or to end
        self._stir = asyncio.Event()  # the feeder should look
        self._is_urgent = True  # ... and not only whether copies are left
        self._ready = Ready(self._marks, clock, low=batch, on_low=self._stir.set)
        self._care = Care(db=db, clock=clock)
        self._feed = Feed(
            db, writer, clock, marks=self._marks, ready=self._ready, care=self._care,
            node=node, batch=batch, pause_s=pause_s, nudge=relay.nudge,
        )  # fmt: skip
        self._is_leaving = False

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
                await self._feed_on(stop)
                await caught(self._feed.end())
                await self._let_end()
                for task in tasks:
                    task.cancel()
            await self._leave()
            await caught(self._care.end())
        finally:
            self._feed.cut()
            await self._relay.close(0)  # has happened, unless somebody cut us down

    async def _begin(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            freed = await caught(self._free_own())
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
            await caught(self._marks.commit())  # else the next start takes the leases back

    # Unfolding

    async def _unfold(self) -> None:
        is_time = True
        while True:
            self._news.clear()
            more = await caught(self._expander.step())
            if more is True:
                self._stir.set()
                continue
            if is_time or self._marks.drained:
                self._marks.drained = False
                await caught(self._expander.settle())
            is_time = not await self._rest(self._news, self._pause_s if isinstance(more, Exception) else self._look_s)

    async def _rest(self, until: asyncio.Event, at_most_s: float) -> bool:
        """True: it was over before its time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                return await until.wait()
        return False

    # Feeding

    async def _feed_on(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._stir.clear()
            is_urgent, self._is_urgent = self._is_urgent, False
            again = await caught(self._feed.look(is_urgent=is_urgent))
            self._feed.nudge()
            if isinstance(again, Exception):
                await asyncio.sleep(self._pause_s)
            elif not again and not await self._rest(self._stir, self._look_s):
                self._is_urgent = True

    # Marking

    async def _mark(self) -> None:
        while True:
            await self._marks.some.wait()
            self._marks.some.clear()
            while self._marks.is_owing:
                if not self._is_leaving and not self._marks.many.is_set():
                    await self._rest(self._marks.many, _GATHER_S)
                if isinstance(await caught(self._marks.commit()), Exception):
                    await asyncio.sleep(self._pause_s)
                else:
                    self._feed.nudge()
            if self._marks.drained:
                self._news.set()
            if self._care.is_careful or self._is_leaving:
                self._stir.set()

