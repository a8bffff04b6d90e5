"""Broadcasts, their audience, and the statements that turn an audience into deliveries.

An audience is the union of its parts. Who belongs to it is asked the same way everywhere: for counting on a preview, for expanding
into the outbox, and for naming the pupils that a copy is about.
"""

from typing import Final

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx

_COLUMNS: Final = """
    b.id, b.link_id, b.state, b.kind, b.lane, b.staff_id, b.subject, b.text, b.cut, b.created_at, b.confirmed_at,
    b.expires_at, b.cursor, b.expanded_at, b.recipients, b.done_at
"""

# p: pupil, s: its school, a: a part of the audience.
_PUPIL_IN_PART: Final = """
    a.staff = 0
    AND (a.level IS NULL OR a.level = CASE
            WHEN s.kind = 'elementary' OR (s.kind = 'compulsory' AND p.grade <= 6) THEN 'elementary'
            ELSE 'junior' END)
    AND (a.school_id IS NULL OR a.school_id = p.school_id)
    AND (a.grade IS NULL OR a.grade = p.grade)
    AND (a.class_id IS NULL OR a.class_id = p.class_id)
"""
_PUPIL_IN_AUDIENCE: Final = f"""
    EXISTS (SELECT 1 FROM broadcast_part a WHERE a.broadcast_id = :broadcast AND {_PUPIL_IN_PART})
"""
_STAFF_IN_AUDIENCE: Final = """
    f.disabled_at IS NULL
    AND EXISTS (SELECT 1 FROM broadcast_part a LEFT JOIN school s ON s.id = a.school_id
                 WHERE a.broadcast_id = :broadcast AND a.staff = 1
                   AND (a.school_id IS NULL OR f.scope = s.slug OR f.scope LIKE s.slug || '.%'))
"""
# Driven by address id, so that a chunk costs what a chunk holds. A contact that came after the confirmation is not in the frozen
# audience; ordinary mail leaves paused addresses out.
_ADDRESSES: Final = f"""
    SELECT d.id AS address_id
      FROM address d
     WHERE d.id > :cursor
       AND (((:alarm OR d.paused_at IS NULL)
             AND EXISTS (SELECT 1
                           FROM contact c
                           JOIN registration r ON r.id = c.registration_id
                           JOIN pupil p ON p.id = r.pupil_id
                           JOIN school s ON s.id = p.school_id
                          WHERE c.address_id = d.id AND c.created_at <= :until AND {_PUPIL_IN_AUDIENCE}))
            OR EXISTS (SELECT 1 FROM staff f WHERE f.address_id = d.id AND {_STAFF_IN_AUDIENCE}))
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


async def add_part(
    tx: Tx,
    *,
    broadcast_id: int,
    part: str,
    staff: bool,
    level: str | None,
    school_id: int | None,
    grade: int | None,
    class_id: int | None,
) -> bool:
    """Add a part to an audience. False: it is in it already."""
    return await tx.run(
        """
        INSERT INTO broadcast_part (broadcast_id, part, staff, level, school_id, grade, class_id)
        VALUES (:broadcast_id, :part, :staff, :level, :school_id, :grade, :class_id)
        ON CONFLICT (broadcast_id, part) DO NOTHING
        """,
        {
            "broadcast_id": broadcast_id,
            "part": part,
            "staff": int(staff),
            "level": level,
            "school_id": school_id,
            "grade": grade,
            "class_id": class_id,
        },
    ) == 1


async def parts_of(tx: Tx, broadcast_id: int) -> list[Row]:
    """part, staff, level, grade and the names of school and class of an audience's parts."""
    return await tx.fetch(
        """
        SELECT a.part, a.staff, a.level, a.grade, s.slug AS school_slug, s.name AS school_name, k.name AS class_name
          FROM broadcast_part a
          LEFT JOIN school s ON s.id = a.school_id
          LEFT JOIN class_ k ON k.id = a.class_id
         WHERE a.broadcast_id = :id ORDER BY a.part
        """,
        {"id": broadcast_id},
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
        "UPDATE broadcast SET confirmed_at = :confirmed_at, expires_at = :expires_at, cursor = 0 WHERE id = :id",
        {"id": broadcast_id, "confirmed_at": confirmed_at, "expires_at": expires_at},
    )


async def lapse_drafts(tx: Tx, *, before: Instant) -> int:
    """Let drafts nobody confirmed lapse."""
    return await tx.run(
        "UPDATE broadcast SET state = 'lapsed' WHERE state = 'drafted' AND created_at <= :before", {"before": before}
    )


async def count_audience(tx: Tx, *, broadcast_id: int, alarm: bool, until: Instant) -> Row:
    """recipients (addresses), pupils, unregistered (of the roster, without any contact)."""
    row = await tx.one(
        f"""
        SELECT (SELECT COUNT(*) FROM ({_ADDRESSES})) AS recipients,
               COUNT(*) AS pupils,
               COUNT(*) FILTER (WHERE p.on_roster = 1 AND NOT EXISTS (
                   SELECT 1 FROM registration r JOIN contact c ON c.registration_id = r.id WHERE r.pupil_id = p.id
               )) AS unregistered
          FROM pupil p JOIN school s ON s.id = p.school_id
         WHERE {_PUPIL_IN_AUDIENCE}
        """,
        {"broadcast": broadcast_id, "alarm": alarm, "until": until, "cursor": 0},
    )
    assert row is not None
    return row


async def next_to_expand(tx: Tx) -> Row | None:
    """The broadcast whose deliveries are to be written next: alarms first, then the oldest."""
    return await tx.one(
        f"""
        SELECT {_COLUMNS} FROM broadcast b
         WHERE b.state IN ('confirmed', 'sending') AND b.expanded_at IS NULL
         ORDER BY b.lane, b.confirmed_at, b.id LIMIT 1
        """
    )


async def expand_chunk(tx: Tx, broadcast: Row, *, alarm: bool, limit: int) -> int:
    """Write the next deliveries of a broadcast, by ascending address id; how many there were."""
    return await tx.run(
        f"""
        INSERT INTO outbox (broadcast_id, address_id, lane, state, created_at, due_at, expires_at)
        SELECT :broadcast, address_id, :lane, 'pending', :until, :until, :expires_at
          FROM ({_ADDRESSES}) ORDER BY address_id LIMIT :limit
        """,
        {
            "broadcast": broadcast["id"],
            "cursor": broadcast["cursor"],
            "until": broadcast["confirmed_at"],
            "alarm": alarm,
            "lane": broadcast["lane"],
            "expires_at": broadcast["expires_at"],
            "limit": limit,
        },
    )


async def advance_cursor(tx: Tx, *, broadcast_id: int, added: int) -> None:
    """After a chunk: remember how far the audience is written."""
    await tx.run(
        """
        UPDATE broadcast
           SET recipients = recipients + :added,
               cursor = (SELECT MAX(address_id) FROM outbox WHERE broadcast_id = :id)
         WHERE id = :id
        """,
        {"id": broadcast_id, "added": added},
    )


async def set_expanded(tx: Tx, *, broadcast_id: int, now: Instant) -> None:
    """The number of recipients is final."""
    await tx.run("UPDATE broadcast SET expanded_at = :now WHERE id = :id", {"id": broadcast_id, "now": now})


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


async def pupils_of_copies(tx: Tx, *, broadcast_id: int, outbox_ids: str) -> list[Row]:
    """outbox_id, name of the pupils that each copy is about. `outbox_ids` is a JSON array."""
    return await tx.fetch(
        f"""
        SELECT o.id AS outbox_id, p.name
          FROM outbox o
          JOIN contact c ON c.address_id = o.address_id AND c.created_at <= o.created_at
          JOIN registration r ON r.id = c.registration_id
          JOIN pupil p ON p.id = r.pupil_id
          JOIN school s ON s.id = p.school_id
         WHERE o.id IN (SELECT value FROM json_each(:ids)) AND {_PUPIL_IN_AUDIENCE}
         GROUP BY o.id, p.id ORDER BY o.id, p.grade DESC, p.id
        """,
        {"broadcast": broadcast_id, "ids": outbox_ids},
    )


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
