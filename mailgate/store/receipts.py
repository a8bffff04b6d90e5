"""Receipts, and the counts of a broadcast that they are part of."""

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx


async def add_receipt(tx: Tx, *, outbox_id: int, now: Instant, way: str) -> bool:
    """A guardian has read it. False: that was known."""
    return await tx.run(
        """
        INSERT INTO receipt (outbox_id, received_at, way) VALUES (:id, :now, :way)
        ON CONFLICT (outbox_id) DO NOTHING
        """,
        {"id": outbox_id, "now": now, "way": way},
    ) == 1


async def receipt_of(tx: Tx, outbox_id: int) -> Instant | None:
    """When a guardian confirmed a copy."""
    row = await tx.one("SELECT received_at FROM receipt WHERE outbox_id = :id", {"id": outbox_id})
    return None if row is None else Instant(row["received_at"])


async def delivery_counts(tx: Tx, broadcast_id: int) -> dict[str, int]:
    """How many deliveries are in which state, and `confirmed`: how many have a receipt."""
    rows = await tx.fetch(
        """
        SELECT o.state, COUNT(*) AS n, COUNT(t.outbox_id) AS receipts
          FROM outbox o LEFT JOIN receipt t ON t.outbox_id = o.id
         WHERE o.broadcast_id = :id GROUP BY o.state
        """,
        {"id": broadcast_id},
    )
    counts = {row["state"]: int(row["n"]) for row in rows}
    counts["confirmed"] = sum(int(row["receipts"]) for row in rows)
    return counts


async def counts_of_registration(tx: Tx, registration_id: int) -> Row:
    """mails, last_mail, receipts, last_receipt: what is remembered of the mails to the addresses of a registration."""
    row = await tx.one(
        """
        SELECT COUNT(*) AS mails, MAX(o.handed_over_at) AS last_mail,
               COUNT(t.outbox_id) AS receipts, MAX(t.received_at) AS last_receipt
          FROM outbox o LEFT JOIN receipt t ON t.outbox_id = o.id
         WHERE o.address_id IN (SELECT address_id FROM contact WHERE registration_id = :id)
        """,
        {"id": registration_id},
    )
    assert row is not None
    return row
