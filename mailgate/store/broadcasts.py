"""Broadcasts: their drafts, their states, and how far their audience is written."""

from typing import Final

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Statements, Tx

_COLUMNS: Final = """
    b.id, b.link_id, b.state, b.kind, b.lane, b.staff_id, b.subject, b.text, b.cut, b.created_at, b.confirmed_at,
    b.expires_at, b.expanded_at, b.recipients, b.done_at
"""


async def add_draft(
    tx: Tx,
    *,
    broadcast_id: int,
    link_id: bytes,
    kind: str,
    lane: int,
    staff_id: int,
    source: bytes,
    subject: bytes,
    text: bytes,
    cut: bytes,
    now: Instant,
) -> None:
    """A new draft; its texts are sealed."""
    await tx.run(
        """
        INSERT INTO broadcast (id, link_id, state, kind, lane, staff_id, source, subject, text, cut, created_at)
        VALUES (:id, :link_id, 'drafted', :kind, :lane, :staff_id, :source, :subject, :text, :cut, :now)
        """,
        {
            "id": broadcast_id,
            "link_id": link_id,
            "kind": kind,
            "lane": lane,
            "staff_id": staff_id,
            "source": source,
            "subject": subject,
            "text": text,
            "cut": cut,
            "now": now,
        },
    )


async def next_id(tx: Tx) -> int:
    """The id of the next broadcast: needed before the insert, to seal by."""
    row = await tx.one("SELECT COALESCE(MAX(id), 0) + 1 AS next FROM broadcast")
    assert row is not None
    return int(row["next"])


async def draft_by_source(tx: Tx, *, source: bytes, since: Instant) -> Row | None:
    """The draft that the same staff mail made through another transaction of a relay."""
    return await tx.one(
        """
        SELECT id FROM broadcast
         WHERE source = :source AND state = 'drafted' AND created_at > :since ORDER BY id DESC LIMIT 1
        """,
        {"source": source, "since": since},
    )


async def broadcast_by_link(tx: Tx, link_id: bytes) -> Row | None:
    """A broadcast by the id in its signed link."""
    return await tx.one(f"SELECT {_COLUMNS} FROM broadcast b WHERE b.link_id = :link_id", {"link_id": link_id})


async def broadcast_by_id(tx: Tx, broadcast_id: int) -> Row | None:
    """A broadcast."""
    return await tx.one(f"SELECT {_COLUMNS} FROM broadcast b WHERE b.id = :id", {"id": broadcast_id})


async def all_broadcasts(tx: Tx) -> list[Row]:
    """All broadcasts, newest first."""
    return await tx.fetch(f"SELECT {_COLUMNS} FROM broadcast b ORDER BY b.id DESC")


async def set_state(
    tx: Tx, *, broadcast_id: int, old: str, new: str, done_at: Instant | None = None
) -> bool:
    """Move a broadcast from one state to the next. False: it was no longer in the old one."""
    return await tx.run(
        "UPDATE broadcast SET state = :new, done_at = COALESCE(:done_at, done_at) WHERE id = :id AND state = :old",
        {"id": broadcast_id, "old": old, "new": new, "done_at": done_at},
    ) == 1


async def set_confirmed(tx: Tx, *, broadcast_id: int, confirmed_at: Instant, expires_at: Instant) -> None:
    """Freeze the audience as of an instant."""
    await tx.run(
        "UPDATE broadcast SET confirmed_at = :confirmed_at, expires_at = :expires_at WHERE id = :id",
        {"id": broadcast_id, "confirmed_at": confirmed_at, "expires_at": expires_at},
    )


async def lapse_drafts(tx: Tx, *, before: Instant) -> int:
    """Let drafts nobody confirmed lapse."""
    return await tx.run(
        "UPDATE broadcast SET state = 'lapsed' WHERE state = 'drafted' AND created_at <= :before", {"before": before}
    )


async def next_to_expand(tx: Statements) -> Row | None:
    """The broadcast whose deliveries are to be written next: alarms first, then the oldest."""
    return await tx.one(
        f"""
        SELECT {_COLUMNS} FROM broadcast b
         WHERE b.state IN ('confirmed', 'sending') AND b.expanded_at IS NULL
         ORDER BY b.lane, b.confirmed_at, b.id LIMIT 1
        """
    )


async def set_expanded(tx: Tx, *, broadcast_id: int, now: Instant) -> int:
    """The audience is written: how many recipients it has, which is final."""
    row = await tx.one(
        """
        UPDATE broadcast SET expanded_at = :now, recipients = (SELECT COUNT(*) FROM outbox WHERE broadcast_id = :id)
         WHERE id = :id RETURNING recipients
        """,
        {"id": broadcast_id, "now": now},
    )
    assert row is not None
    return int(row["recipients"])


async def finished(tx: Tx) -> list[int]:
    """Expanded broadcasts in work of which nothing is owed any more."""
    rows = await tx.fetch(
        """
        SELECT b.id FROM broadcast b
         WHERE b.state IN ('sending', 'halted') AND b.expanded_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.broadcast_id = b.id AND o.state IN ('pending', 'leased'))
        """
    )
    return [int(row["id"]) for row in rows]


async def has_lapsing(tx: Tx, *, before: Instant) -> bool:
    """Whether there is a draft nobody confirmed in time."""
    row = await tx.one(
        "SELECT 1 FROM broadcast WHERE state = 'drafted' AND created_at <= :before LIMIT 1", {"before": before}
    )
    return row is not None


async def cancel_pending(tx: Tx, *, broadcast_id: int, now: Instant) -> int:
    """Nothing more of a broadcast is handed over."""
    return await tx.run(
        """
        UPDATE outbox SET state = 'cancelled', ended_at = :now
         WHERE broadcast_id = :id AND state = 'pending'
        """,
        {"id": broadcast_id, "now": now},
    )
