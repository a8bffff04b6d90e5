"""Audiences: the union of their parts, and the statements that turn one into deliveries.

Who belongs to an audience is asked the same way everywhere: for counting on a preview, for expanding into the outbox, and for naming the
pupils that a copy is about.
"""

from typing import Final

from mailgate.core.instants import Instant
from mailgate.store.db import Row, Statements, Tx

# p: pupil, s: its school, a: a part of the audience. A child whom the school's roster does not know gets what all of the school get, and
# nothing that is for a grade or a class: nobody has looked whether it is there.
# Of a compulsory school a pupil whose grade is not known yet belongs to both levels.
_PUPIL_IN_PART: Final = """
    a.staff = 0
    AND (a.level IS NULL OR a.level = s.kind
         OR (s.kind = 'compulsory' AND (p.grade IS NULL OR (a.level = 'elementary') = (p.grade <= 6))))
    AND (a.school_id IS NULL OR a.school_id = p.school_id)
    AND (a.grade IS NULL OR a.grade = p.grade)
    AND (a.class_id IS NULL OR a.class_id = p.class_id)
    AND (p.on_roster = 1 OR (a.grade IS NULL AND a.class_id IS NULL)
         OR NOT EXISTS (SELECT 1 FROM pupil q WHERE q.school_id = p.school_id AND q.on_roster = 1))
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
# Driven by address id, so that a chunk costs what it walks over: as far as the last of its recipients. A contact that came after the
# confirmation is not in the frozen audience; one that is dated later than now was there before it: the clock has been set back. Ordinary
# mail leaves paused addresses out.
_ADDRESSES: Final = f"""
    SELECT d.id AS address_id
      FROM address d
     WHERE (:alarm OR d.paused_at IS NULL)
       AND (EXISTS (SELECT 1
                      FROM contact c
                      JOIN registration r ON r.id = c.registration_id
                      JOIN pupil p ON p.id = r.pupil_id
                      JOIN school s ON s.id = p.school_id
                     WHERE c.address_id = d.id AND (c.created_at <= :until OR c.created_at > :now)
                       AND {_PUPIL_IN_AUDIENCE})
            OR EXISTS (SELECT 1 FROM staff f WHERE f.address_id = d.id AND {_STAFF_IN_AUDIENCE}))
"""


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


async def count_audience(tx: Tx, *, broadcast_id: int, alarm: bool, until: Instant, now: Instant) -> Row:
    """Recipients (addresses), pupils, unregistered (of the roster, without any contact), frozen as of `until`."""
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
        {"broadcast": broadcast_id, "alarm": alarm, "until": until, "now": now},
    )
    assert row is not None
    return row


async def expand_chunk(tx: Statements, broadcast: Row, *, alarm: bool, limit: int, now: Instant) -> int:
    """Write the next deliveries of a broadcast that is being sent, by ascending address id; how many there were."""
    return await tx.run(
        f"""
        INSERT INTO outbox (broadcast_id, address_id, lane, state, created_at, due_at, expires_at)
        SELECT :broadcast, address_id, :lane, 'pending', :until, :until, :expires_at
          FROM ({_ADDRESSES})
         WHERE address_id > COALESCE((SELECT MAX(o.address_id) FROM outbox o WHERE o.broadcast_id = :broadcast), 0)
           AND EXISTS (SELECT 1 FROM broadcast b WHERE b.id = :broadcast AND b.state = 'sending')
         ORDER BY address_id LIMIT :limit
        """,
        {
            "broadcast": broadcast["id"],
            "until": broadcast["confirmed_at"],
            "now": now,
            "alarm": alarm,
            "lane": broadcast["lane"],
            "expires_at": broadcast["expires_at"],
            "limit": limit,
        },
    )


async def pupils_of_copies(tx: Statements, *, broadcast_id: int, outbox_ids: str) -> list[tuple[int, str]]:
    """Outbox id and name of the pupils that each copy is about. `outbox_ids` is a JSON array.

    A contact that came after the copy was owed is none of them, unless the address has no other: then the clock has been set back.
    """
    named: list[tuple[int, str]] = await tx.packed(
        f"""
        SELECT json_group_array(json_array(outbox_id, name))
          FROM (SELECT o.id AS outbox_id, p.name
                  FROM outbox o
                  JOIN contact c ON c.address_id = o.address_id
                   AND (c.created_at <= o.created_at
                        OR NOT EXISTS (
                           SELECT 1 FROM contact e WHERE e.address_id = o.address_id AND e.created_at <= o.created_at))
                  JOIN registration r ON r.id = c.registration_id
                  JOIN pupil p ON p.id = r.pupil_id
                  JOIN school s ON s.id = p.school_id
                 WHERE o.id IN (SELECT value FROM json_each(:ids)) AND {_PUPIL_IN_AUDIENCE}
                 GROUP BY o.id, p.id ORDER BY o.id, p.grade DESC, p.id)
        """,
        {"broadcast": broadcast_id, "ids": outbox_ids},
    )
    return named
