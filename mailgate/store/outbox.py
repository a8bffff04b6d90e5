"""The outbox: every mail that is owed, and the statements that move it.

The conditions in the statements are those of the table core.delivery.MOVES, and a test holds every statement against it, state by state.
What the sender marks carries its node: a lease that ran out and went to another node is that node's. Only an accepted copy is marked
whoever holds it now, because it is out. A delivery that becomes owed again although its broadcast was cancelled meanwhile is cancelled in
the same statement.

A claim walks the partial index of what is pending lane by lane, so it costs the same however much is pending behind it. Expired rows are
claimed like others and then marked: no attempt is ever due after its row's end (core.delivery.retry_at), so the claim comes past them.
"""

import json
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple  # Any: a value of a row

from mailgate.core.delivery import Event, Lane, State
from mailgate.core.instants import Instant
from mailgate.core.readers import Language
from mailgate.store.db import Row, Statements, Tx


class Claimed(NamedTuple):
    """A delivery that a sender has, with what a copy is made from."""

    id: int
    broadcast_id: int | None
    letter: str | None
    params: str | None  # JSON as it is stored: one that cannot be read stops its own row and not the claim
    address_id: int
    sealed: bytes  # the address
    lane: Lane
    created_at: Instant
    expires_at: Instant
    attempt: int
    faults: int = 0
    language: Language = Language.JA  # of the address, as the next one
    no_url: bool = False


class Mark(NamedTuple):
    """What became of a claimed delivery. `due_at` is of those that are tried again."""

    id: int
    phase: str
    code: int | None
    enhanced: str | None
    text: str | None
    due_at: Instant | None = None
    attempts: int = 1  # that count towards the next pause
    faults: int = 0


_DUE_IN_LANE: Final = """
    SELECT * FROM (SELECT o.id, o.broadcast_id, o.letter, o.params, o.address_id, a.sealed, o.lane, o.created_at, o.expires_at,
                          o.attempt, o.faults, a.language, a.no_url, o.due_at
                     FROM outbox o JOIN address a ON a.id = o.address_id
                    WHERE o.state = 'pending' AND o.lane = {lane} AND o.due_at <= :now
                      AND (o.broadcast_id IS NULL
                           OR o.expires_at <= :now
                           OR EXISTS (SELECT 1 FROM broadcast b WHERE b.id = o.broadcast_id AND b.state = 'sending'))
                    ORDER BY o.due_at, o.id
                    LIMIT :limit)
"""
_DUE: Final = """
    SELECT json_group_array(json_array(
               id, broadcast_id, letter, params, address_id, hex(sealed), lane, created_at, expires_at, attempt, faults,
               language, no_url, due_at))
      FROM ({lanes})
"""
_LEASE: Final = """
    UPDATE outbox SET state = 'leased', lease_node = :node, leased_until = :until
     WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'pending' AND due_at <= :now
"""
_LEASED: Final = """
    SELECT json_group_array(id) FROM outbox
     WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'leased' AND lease_node = :node
"""
# Leases are looked for at a start and every few minutes. An index of their own would cost each copy more than that: into it and out of it.
_LEASED_AMONG_OPEN: Final = "outbox INDEXED BY outbox_open WHERE state IN ('pending', 'leased') AND state = 'leased'"

# Out of a lease and not handed over: owed again, unless its broadcast was cancelled meanwhile.
_OWED_AGAIN: Final = """
    state = CASE WHEN EXISTS (SELECT 1 FROM broadcast b WHERE b.id = outbox.broadcast_id AND b.state = 'cancelled')
                 THEN 'cancelled' ELSE 'pending' END,
    ended_at = CASE WHEN EXISTS (SELECT 1 FROM broadcast b WHERE b.id = outbox.broadcast_id AND b.state = 'cancelled')
                 THEN :now END,
    lease_node = NULL, leased_until = NULL
"""
# A mark comes as a JSON array of its fields in their order, and its statement is `UPDATE outbox SET ... FROM _MARKED`. What was accepted
# comes as `"id": "text"`, by far the cheapest to take apart, in a statement for each code.
_ANSWERED: Final = """
    attempt = attempt + mark.value ->> 6, faults = faults + mark.value ->> 7,
    phase = mark.value ->> 1, reply_code = mark.value ->> 2, enhanced = mark.value ->> 3, reply_text = mark.value ->> 4
"""
_MARKED: Final = "json_each(:marks) AS mark WHERE outbox.id = mark.value ->> 0"
_TURN: Final = itemgetter(6, 13, 0)  # lane, due_at, id
_LANES: Final = tuple(Lane)
_LANGUAGES: Final = {language.value: language for language in Language}


async def enqueue_letter(
    tx: Tx, *, letter: str, params: str, address_id: int, lane: Lane, now: Instant, due_at: Instant, expires_at: Instant
) -> int:
    """Owe somebody a single letter; `params` is JSON. The id of its delivery."""
    rows = await tx.fetch(
        """
        INSERT INTO outbox (letter, params, address_id, lane, state, created_at, due_at, expires_at)
        VALUES (:letter, :params, :address_id, :lane, 'pending', :now, :due_at, :expires_at)
        RETURNING id
        """,
        {
            "letter": letter,
            "params": params,
            "address_id": address_id,
            "lane": lane,
            "now": now,
            "due_at": due_at,
            "expires_at": expires_at,
        },
    )
    return int(rows[0]["id"])


async def by_id(tx: Tx, outbox_id: int) -> Row | None:
    """A delivery, all columns."""
    return await tx.one("SELECT * FROM outbox WHERE id = :id", {"id": outbox_id})


async def due(tx: Statements, *, now: Instant, limit: int, lanes: Sequence[Lane] = tuple(Lane)) -> list[Claimed]:
    """What may be claimed, the most urgent lane first, in a lane the longest due first.

    Of broadcasts only those that are being sent, and whatever has expired: that is only to be marked.
    """
    due_in_lanes = " UNION ALL ".join([_DUE_IN_LANE.format(lane=int(lane)) for lane in lanes])
    rows = await tx.packed(_DUE.format(lanes=due_in_lanes), {"now": now, "limit": limit})
    rows.sort(key=_TURN)
    return [_claimed(row) for row in rows[:limit]]


async def claim(tx: Statements, rows: Sequence[Claimed], *, now: Instant, until: Instant, node: str) -> list[Claimed]:
    """Lease what was found due and is so still."""
    ids = json.dumps([row.id for row in rows])
    leased = await tx.run(_LEASE, {"node": node, "until": until, "now": now, "ids": ids})
    if leased == len(rows):
        return [*rows]
    kept = frozenset(await tx.packed(_LEASED, {"node": node, "ids": ids}))
    return [row for row in rows if row.id in kept]


async def renew_leases(tx: Tx, ids: Iterable[int], *, node: str, until: Instant) -> int:
    """Keep what a node has; how many."""
    return await tx.run(
        """
        UPDATE outbox SET leased_until = :until
         WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'leased' AND lease_node = :node
        """,
        {"ids": json.dumps([*ids]), "node": node, "until": until},
    )


async def free_leases(tx: Tx, *, node: str, now: Instant) -> int:
    """Take back what an earlier run of this very node left; how many."""
    return await tx.run(
        f"UPDATE outbox SET {_OWED_AGAIN} WHERE id IN (SELECT id FROM {_LEASED_AMONG_OPEN} AND lease_node = :node)",
        {"node": node, "now": now},
    )


async def free_expired_leases(tx: Tx, *, node: str, now: Instant) -> int:
    """Take back what another node left when it died; how many. What this node holds it knows best itself."""
    return await tx.run(
        f"""
        UPDATE outbox SET {_OWED_AGAIN}
         WHERE id IN (SELECT id FROM {_LEASED_AMONG_OPEN} AND leased_until <= :now AND lease_node <> :node)
        """,
        {"node": node, "now": now},
    )


async def release(tx: Statements, ids: Iterable[int], *, node: str, now: Instant) -> None:
    """Hand back what was not begun, due as it was."""
    await tx.run(
        f"""
        UPDATE outbox SET {_OWED_AGAIN}
         WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'leased' AND lease_node = :node
        """,
        {"ids": json.dumps([*ids]), "node": node, "now": now},
    )


async def mark_handed_over(tx: Statements, marks: Iterable[Mark], *, now: Instant) -> None:
    """The next server took them. A notice that overtook this record stays."""
    texts: dict[tuple[int | None, str | None], dict[int, str | None]] = {}
    for mark in marks:
        texts.setdefault((mark.code, mark.enhanced), {})[mark.id] = mark.text
    for (code, enhanced), by_id in texts.items():
        await tx.run(
            """
            UPDATE outbox
               SET state = 'handed_over', handed_over_at = :now, lease_node = NULL, leased_until = NULL, attempt = attempt + 1,
                   phase = 'eod', reply_code = :code, enhanced = :enhanced, reply_text = mark.value
              FROM json_each(:texts) AS mark
             WHERE outbox.id = CAST(mark.key AS INTEGER) AND state IN ('pending', 'leased')
            """,
            {"texts": json.dumps(by_id), "code": code, "enhanced": enhanced, "now": now},
        )


async def mark_deferred(tx: Statements, marks: Iterable[Mark], *, node: str, now: Instant) -> None:
    """They are tried again when they are due."""
    await tx.run(
        f"""
        UPDATE outbox SET due_at = mark.value ->> 5, {_OWED_AGAIN}, {_ANSWERED}
          FROM {_MARKED} AND state = 'leased' AND lease_node = :node
        """,
        {"marks": json.dumps([*marks]), "node": node, "now": now},
    )


async def mark_failed(tx: Statements, marks: Iterable[Mark], *, node: str, now: Instant) -> None:
    """Refused for good, or parked (phase `internal`)."""
    await tx.run(
        f"""
        UPDATE outbox SET state = 'failed', ended_at = :now, lease_node = NULL, leased_until = NULL, {_ANSWERED}
          FROM {_MARKED} AND state = 'leased' AND lease_node = :node
        """,
        {"marks": json.dumps([*marks]), "node": node, "now": now},
    )


async def mark_expired(tx: Statements, ids: Iterable[int], *, node: str, now: Instant) -> None:
    """Claimed, and too late to be handed over."""
    await tx.run(
        """
        UPDATE outbox SET state = 'expired', ended_at = :now, lease_node = NULL, leased_until = NULL
         WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'leased' AND lease_node = :node
        """,
        {"ids": json.dumps([*ids]), "node": node, "now": now},
    )


async def put_off(tx: Tx, *, broadcast_id: int) -> int:
    """Its broadcast is halted: out of the claim's way until it is called back or expires; how many."""
    return await tx.run(
        """
        UPDATE outbox SET due_at = expires_at
         WHERE broadcast_id = :id AND state IN ('pending', 'leased') AND state = 'pending'
        """,
        {"id": broadcast_id},
    )


async def call_back(tx: Tx, *, broadcast_id: int, now: Instant) -> int:
    """Its broadcast goes on: due at once; how many."""
    return await tx.run(
        """
        UPDATE outbox SET due_at = :now
         WHERE broadcast_id = :id AND state IN ('pending', 'leased') AND state = 'pending'
        """,
        {"id": broadcast_id, "now": now},
    )


async def notice(
    tx: Tx,
    *,
    outbox_id: int,
    event: Literal[Event.NOTICE_DELIVERED, Event.NOTICE_BOUNCED],
    reply_code: int | None,
    enhanced: str | None,
    text: str,
    now: Instant,
) -> State | None:
    """What a notice says of a delivery: its new state, or None if there is none such or it has ended in a way that stands."""
    state = State.BOUNCED if event is Event.NOTICE_BOUNCED else State.DELIVERED
    moved = await tx.run(
        """
        UPDATE outbox
           SET state = :state, ended_at = :now, lease_node = NULL, leased_until = NULL,
               phase = 'notice', reply_code = :code, enhanced = :enhanced, reply_text = :text
         WHERE id = :id AND state <> 'bounced' AND state <> :state
        """,
        {"id": outbox_id, "state": state, "now": now, "code": reply_code, "enhanced": enhanced, "text": text},
    )
    return state if moved else None


def _claimed(row: list[Any]) -> Claimed:
    row[5] = bytes.fromhex(row[5])
    row[6] = _LANES[row[6]]
    row[11] = _LANGUAGES[row[11]]
    row[12] = row[12] == 1
    return tuple.__new__(Claimed, row[:13])  # as Claimed._make does, which is called in Python
