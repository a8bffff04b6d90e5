"""Reach (J4): a guardian says "I have read this", by a reply or by a press.

A receipt stands beside a delivery's state. The first one from an address also proves its contacts. A receipt for a completion mail
is one for that single letter: it proves, and confirms no broadcast.
"""

from dataclasses import dataclass
from typing import Literal

from mailgate.core.broadcast import Kind
from mailgate.core.instants import Instant
from mailgate.core.returnpath import Slot
from mailgate.journeys.links import Links
from mailgate.runtime import Clock
from mailgate.store import broadcasts, outbox, people, receipts, staff
from mailgate.store.db import Db, Tx
from mailgate.vault import TextVault


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyView:
    """A copy as a page. A completion mail has neither subject nor text here."""

    kind: Kind
    subject: str
    text: str
    sender_name: str
    sent_at: Instant
    confirmed_at: Instant | None
    letter: bool


class Reach:
    """The page of a copy."""

    def __init__(self, *, db: Db, links: Links, texts: TextVault, board: str, clock: Clock) -> None:
        self._board = board
        self._db = db
        self._links = links
        self._texts = texts
        self._clock = clock

    async def copy(self, token: str) -> CopyView | None:
        """What a copy says, to whoever has its link."""
        outbox_id = self._links.outbox_id(Slot.RECEIPT, token)
        if outbox_id is None:
            return None
        async with self._db.read() as tx:
            row = await outbox.by_id(tx, outbox_id)
            if row is None:
                return None
            confirmed_at = await receipts.receipt_of(tx, outbox_id)
            if row["broadcast_id"] is None:
                return CopyView(
                    kind=Kind.NOTICE,
                    subject="",
                    text="",
                    sender_name="",
                    sent_at=Instant(row["created_at"]),
                    confirmed_at=confirmed_at,
                    letter=True,
                )
            broadcast = await broadcasts.broadcast_by_id(tx, row["broadcast_id"])
            assert broadcast is not None
            school = await staff.school_of(tx, broadcast["staff_id"])
            return CopyView(
                kind=Kind(broadcast["kind"]),
                subject=self._texts.open_text(broadcast["subject"], "subject", broadcast["id"]),
                text=self._texts.open_text(broadcast["text"], "text", broadcast["id"]),
                sender_name=self._board if school is None else school["name"],
                sent_at=Instant(row["created_at"]),
                confirmed_at=confirmed_at,
                letter=False,
            )

    async def confirm(self, token: str) -> bool:
        """The button was pressed; twice is once. False: no such copy."""
        outbox_id = self._links.outbox_id(Slot.RECEIPT, token)
        if outbox_id is None:
            return False
        async with self._db.write() as tx:
            if await outbox.by_id(tx, outbox_id) is None:
                return False
            await record_receipt(tx, outbox_id, way="press", now=self._clock.now())
        return True


async def record_receipt(tx: Tx, outbox_id: int, *, way: Literal["reply", "press"], now: Instant) -> bool:
    """Note a receipt and what it proves. False: it was known, or there is no such copy."""
    row = await outbox.by_id(tx, outbox_id)
    if row is None or not await receipts.add_receipt(tx, outbox_id=outbox_id, now=now, way=way):
        return False
    await people.prove_contacts(tx, address_id=row["address_id"], now=now)
    return True
