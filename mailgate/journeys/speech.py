"""Speech: in which language the reader of a mailed link is written to, so that the page behind it can speak it too.

A link that does not open has no reader to ask for: None. Nothing is shown of it here, and looking changes nothing.
"""

from mailgate.core.returnpath import Slot
from mailgate.core.tokens import Purpose
from mailgate.journeys.links import LinkDead, Links
from mailgate.runtime import Clock
from mailgate.store import changes, contacts, outbox, people, recovery
from mailgate.store.db import Db, Tx


class Speech:
    """Knows the languages behind links."""

    def __init__(self, *, db: Db, links: Links, clock: Clock) -> None:
        self._db = db
        self._links = links
        self._clock = clock

    async def of_copy(self, token: str) -> str | None:
        """Of the address that a copy, or a letter, was mailed to."""
        return await self._of_mail(Slot.RECEIPT, token)

    async def of_stop(self, token: str) -> str | None:
        """Of the address whose ordinary mail a link stops."""
        return await self._of_mail(Slot.STOP, token)

    async def of_reset(self, token: str) -> str | None:
        """Of the registration whose password a link sets."""
        link_id = self._links.open(Purpose.PASSWORD, token, now=self._clock.now())
        if isinstance(link_id, LinkDead):
            return None
        async with self._db.read() as tx:
            link = await recovery.password_link_by_link(tx, link_id)
            return None if link is None else await _of_registration(tx, link["registration_id"])

    async def of_undo(self, token: str) -> str | None:
        """Of the registration whose change a link takes back."""
        link_id = self._links.open(Purpose.UNDO, token, now=self._clock.now())
        if isinstance(link_id, LinkDead):
            return None
        async with self._db.read() as tx:
            change = await changes.change_by_link(tx, link_id)
            return None if change is None else await _of_registration(tx, change["registration_id"])

    async def _of_mail(self, slot: Slot, token: str) -> str | None:
        outbox_id = self._links.outbox_id(slot, token)
        if outbox_id is None:
            return None
        async with self._db.read() as tx:
            row = await outbox.by_id(tx, outbox_id)
            if row is None or row["address_id"] is None:
                return None
            address = await people.address_by_id(tx, row["address_id"])
            return None if address is None else str(address["language"])


async def _of_registration(tx: Tx, registration_id: int) -> str | None:
    """Its addresses are written to in one language."""
    lines = await contacts.lines_of(tx, registration_id)
    return str(lines[0]["language"]) if lines else None
