"""Stop: ordinary mail to an address is paused, and the address is told so with the way back. Alarms go on."""

import json

from mailgate.core.delivery import LIFETIME, Lane
from mailgate.core.instants import Instant, later
from mailgate.core.returnpath import Slot
from mailgate.journeys.links import Links
from mailgate.runtime import Clock
from mailgate.store import outbox, people
from mailgate.store.db import Db, Tx


class Stop:
    """The page of a stop link."""

    def __init__(self, *, db: Db, links: Links, clock: Clock) -> None:
        self._db = db
        self._links = links
        self._clock = clock

    async def paused(self, token: str) -> bool | None:
        """Whether ordinary mail to the link's address is paused; None: no such link."""
        outbox_id = self._links.outbox_id(Slot.STOP, token)
        if outbox_id is None:
            return None
        async with self._db.read() as tx:
            row = await outbox.by_id(tx, outbox_id)
            address = None if row is None else await people.address_by_id(tx, row["address_id"])
        return None if address is None else address["paused_at"] is not None

    async def pause(self, token: str) -> bool:
        """Pause; twice is once. False: no such link."""
        outbox_id = self._links.outbox_id(Slot.STOP, token)
        if outbox_id is None:
            return False
        async with self._db.write() as tx:
            if await outbox.by_id(tx, outbox_id) is None:
                return False
            await pause(tx, outbox_id, now=self._clock.now())
        return True

    async def resume(self, token: str) -> bool:
        """Let ordinary mail come again. False: no such link."""
        outbox_id = self._links.outbox_id(Slot.STOP, token)
        if outbox_id is None:
            return False
        async with self._db.write() as tx:
            row = await outbox.by_id(tx, outbox_id)
            if row is not None:
                await people.resume_address(tx, row["address_id"])
        return row is not None


async def pause(tx: Tx, outbox_id: int, *, now: Instant) -> bool:
    """Pause the address of an outbox row and owe it the notice. False: it was paused, or there is no such row."""
    row = await outbox.by_id(tx, outbox_id)
    if row is None or not await people.pause_address(tx, address_id=row["address_id"], now=now):
        return False
    await outbox.enqueue_letter(
        tx,
        letter="stopped",
        params=json.dumps({"stopped_by": outbox_id}),
        address_id=row["address_id"],
        lane=Lane.SINGLE,
        now=now,
        due_at=now,
        expires_at=later(now, LIFETIME[Lane.SINGLE]),
    )
    return True
