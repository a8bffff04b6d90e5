"""A broadcast's life: how an event moves it, and how the sender drives it from a frozen audience to its end.

Confirming freezes the audience as of that instant. The deliveries are written in chunks, each a statement that goes on behind the last
address that has its row, and small, because the marks of what goes out meanwhile wait for it. The broadcast starts before the first chunk;
the number of recipients is final with the last.
"""

from typing import Final

import structlog

from mailgate.core import broadcast
from mailgate.core.broadcast import Event, Kind, State
from mailgate.core.delivery import Lane
from mailgate.core.instants import MINUTE, Instant, later
from mailgate.runtime import Clock
from mailgate.store import audiences, audit, broadcasts, outbox
from mailgate.store.db import Db, Row, Statements, Tx

log = structlog.get_logger()

EXPANSION_CHUNK: Final = 600
_LONGEST_TURN: Final = MINUTE


async def move_broadcast(tx: Tx, row: Row, event: Event, *, actor: str, now: Instant) -> bool:
    """Move a broadcast by an event, with what belongs to it. False: it does not happen in its state."""
    broadcast_id = int(row["id"])
    new = broadcast.move(State(row["state"]), event)
    if new is State.CONFIRMED and now >= later(Instant(row["created_at"]), broadcast.DRAFT_LIFETIME):
        return False  # lapsed, only nobody has written it down yet
    if new is None or not await broadcasts.set_state(
        tx, broadcast_id=broadcast_id, old=row["state"], new=new, done_at=now if new is State.DONE else None
    ):
        return False
    if new is State.CONFIRMED:
        lifetime = broadcast.LIFETIME[Kind(row["kind"])]
        await broadcasts.set_confirmed(
            tx, broadcast_id=broadcast_id, confirmed_at=now, expires_at=later(now, lifetime)
        )
        log.info("broadcast.confirmed", broadcast=broadcast_id)
    match new:
        case State.CANCELLED:
            await broadcasts.cancel_pending(tx, broadcast_id=broadcast_id, now=now)
        case State.HALTED:
            await outbox.put_off(tx, broadcast_id=broadcast_id)
        case State.SENDING if event is Event.RESUME:
            await outbox.call_back(tx, broadcast_id=broadcast_id, now=now)
    await audit.record(
        tx, at=now, actor=actor, event=f"broadcast.{event.value}", subject=f"broadcast:{broadcast_id}"
    )
    log.info("broadcast.moved", broadcast=broadcast_id, state=new.value)
    return True


class Expander:
    """The sender's side of a broadcast: from frozen audience to outbox rows, and to its end."""

    def __init__(self, *, db: Db, clock: Clock, chunk: int = EXPANSION_CHUNK) -> None:
        self._db = db
        self._clock = clock
        self._chunk = chunk

    async def step(self) -> bool:
        """Write one chunk of the next broadcast's deliveries. True: there is more to do."""
        async with self._db.read(brief=True) as tx:
            row = await broadcasts.next_to_expand(tx)
        if row is None:
            return False
        if row["state"] == State.CONFIRMED:
            async with self._db.write() as tx:
                await move_broadcast(tx, row, Event.START, actor="gate", now=self._clock.now())
        if await self._expand(self._db, row) < self._chunk:
            await self._finish()
        return True

    async def _expand(self, tx: Statements, row: Row) -> int:
        alarm = row["lane"] == Lane.ALARM
        # What is dated later was there before a clock was set back. Who registers while the statement waits for its turn came afterwards.
        now = later(self._clock.now(), _LONGEST_TURN)
        return await audiences.expand_chunk(tx, row, alarm=alarm, limit=self._chunk, now=now)

    async def _finish(self) -> None:
        """A chunk was not full: this is the end of the audience, or somebody halted or cancelled the broadcast at that moment."""
        async with self._db.write() as tx:
            row = await broadcasts.next_to_expand(tx)
            if row is None or row["state"] != State.SENDING or await self._expand(tx, row) == self._chunk:
                return
            recipients = await broadcasts.set_expanded(tx, broadcast_id=row["id"], now=self._clock.now())
            log.info("broadcast.expanded", broadcast=row["id"], recipients=recipients)

    async def settle(self) -> None:
        """Let broadcasts of which nothing is owed be done, and old drafts lapse."""
        now = self._clock.now()
        async with self._db.read() as tx:
            finished = await broadcasts.finished(tx)
            lapsing = await broadcasts.has_lapsing(tx, before=later(now, -broadcast.DRAFT_LIFETIME))
        if not finished and not lapsing:
            return
        async with self._db.write() as tx:
            await broadcasts.lapse_drafts(tx, before=later(now, -broadcast.DRAFT_LIFETIME))
            for broadcast_id in await broadcasts.finished(tx):
                row = await broadcasts.broadcast_by_id(tx, broadcast_id)
                assert row is not None
                await move_broadcast(tx, row, Event.FINISH, actor="gate", now=now)
                log.info("broadcast.done", broadcast=broadcast_id, recipients=row["recipients"])
