"""The outbox: every mail that is owed, and the statements that move it.

The conditions in the statements are those of the table core.delivery.MOVES, and a test holds every statement against it, state by state.
What the sender marks carries its node: a lease that ran out and went to another node is that node's. Only an accepted copy is marked
whoever holds it now, because it is out. A delivery that becomes owed again although its broadcast was cancelled meanwhile is cancelled in
the same statement.

A claim walks the partial index of what is pending lane by lane, so it costs the same however much is pending behind it. Expired rows are
claimed like others and then marked: no attempt is ever due after its row's end (core.delivery.retry_at), so the claim comes past them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from mailgate.core.delivery import Event, Lane, State
from mailgate.core.instants import Instant
from mailgate.store.db import Row, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that a sender has, with what a copy is made from."""

    id: int
    broadcast_id: int | None
    letter: str | None
    params: str | None  # JSON as it is stored: one that cannot be read stops its own row and not the claim
    address_id: int
    sealed: bytes = field(repr=False)  # the address
    site: str  # of the address
    lane: Lane
    created_at: Instant
    expires_at: Instant
    attempt: int
    faults: int = 0
    language: str = "ja"  # of the address, as the next one
    no_url: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What became of a claimed delivery. `due_at` is of those that are tried again."""

    id: int
    phase: str
    code: int | None
    enhanced: str | None
    text: str | None
    due_at: Instant | None = None
    attempts: int = 1  # that count towards the next pause
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """Deliveries by state, and by lane and state."""

    by_state: dict[str, int]
    by_lane: dict[str, dict[str, int]]


_CLAIM: Final = """
    UPDATE outbox SET state = 'leased', lease_node = :node, leased_until = :until
     WHERE id IN (
           SELECT o.id FROM outbox o
            WHERE o.state = 'pending' AND o.lane = :lane AND o.due_at <= :now
              AND (o.broadcast_id IS NULL
                   OR o.expires_at <= :now
                   OR EXISTS (SELECT 1 FROM broadcast b WHERE b.id = o.broadcast_id AND b.state = 'sending'))
            ORDER BY o.due_at, o.id
            LIMIT :limit)
    RETURNING id, broadcast_id, letter, params, address_id, lane, created_at, due_at, expires_at, attempt, faults,
              (SELECT a.sealed FROM address a WHERE a.id = outbox.address_id) AS sealed,
              (SELECT a.site FROM address a WHERE a.id = outbox.address_id) AS site,
              (SELECT a.language FROM address a WHERE a.id = outbox.address_id) AS language,
              (SELECT a.no_url FROM address a WHERE a.id = outbox.address_id) AS no_url
"""

# Out of a lease and not handed over: owed again, unless its broadcast was cancelled meanwhile.
_OWED_AGAIN: Final = """
    state = CASE WHEN EXISTS (SELECT 1 FROM broadcast b WHERE b.id = outbox.broadcast_id AND b.state = 'cancelled')
                 THEN 'cancelled' ELSE 'pending' END,
    ended_at = CASE WHEN EXISTS (SELECT 1 FROM broadcast b WHERE b.id = outbox.broadcast_id AND b.state = 'cancelled')
                 THEN :now END,
    lease_node = NULL, leased_until = NULL
"""
_ANSWERED: Final = """
    attempt = attempt + :attempts, faults = faults + :faults,
    phase = :phase, reply_code = :code, enhanced = :enhanced, reply_text = :text
"""


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


async def claim(
    tx: Tx, *, now: Instant, until: Instant, node: str, limit: int, lanes: Sequence[Lane] = tuple(Lane)
) -> list[Claimed]:
    """Lease what is due, the most urgent lane first, in a lane the longest due first.

    Of broadcasts only those that are being sent, and whatever has expired: that is only to be marked.
    """
    claimed: list[Claimed] = []
    for lane in sorted(lanes):
        room = limit - len(claimed)
        if room <= 0:
            break
        rows = await tx.fetch(_CLAIM, {"now": now, "until": until, "node": node, "lane": lane, "limit": room})
        rows.sort(key=lambda row: (row["due_at"], row["id"]))
        claimed += [_claimed(row) for row in rows]
    return claimed


async def renew_leases(tx: Tx, *, node: str, until: Instant) -> int:
    """Keep what a node has; how many."""
    return await tx.run(
        "UPDATE outbox SET leased_until = :until WHERE state = 'leased' AND lease_node = :node",
        {"node": node, "until": until},
    )


async def free_leases(tx: Tx, *, node: str, now: Instant) -> int:
    """Take back what an earlier run of this very node left; how many."""
    return await tx.run(
        f"UPDATE outbox SET {_OWED_AGAIN} WHERE state = 'leased' AND lease_node = :node",
        {"node": node, "now": now},
    )


async def free_expired_leases(tx: Tx, *, node: str, now: Instant) -> int:
    """Take back what another node left when it died; how many. What this node holds it knows best itself."""
    return await tx.run(
        f"""
        UPDATE outbox SET {_OWED_AGAIN}
         WHERE state = 'leased' AND leased_until <= :now AND lease_node <> :node
        """,
        {"node": node, "now": now},
    )


async def release(tx: Tx, ids: Iterable[int], *, node: str, now: Instant) -> None:
    """Hand back what was not begun, due as it was."""
    await tx.run_many(
        f"UPDATE outbox SET {_OWED_AGAIN} WHERE id = :id AND state = 'leased' AND lease_node = :node",
        [{"id": id_, "node": node, "now": now} for id_ in ids],
    )


async def mark_handed_over(tx: Tx, marks: Iterable[Mark], *, now: Instant) -> None:
    """The next server took them. A notice that overtook this record stays."""
    await tx.run_many(
        f"""
        UPDATE outbox
           SET state = 'handed_over', handed_over_at = :now, lease_node = NULL, leased_until = NULL, {_ANSWERED}
         WHERE id = :id AND state IN ('pending', 'leased')
        """,
        [_answer(mark) | {"now": now} for mark in marks],
    )


async def mark_deferred(tx: Tx, marks: Iterable[Mark], *, node: str, now: Instant) -> None:
    """They are tried again when they are due."""
    await tx.run_many(
        f"""
        UPDATE outbox SET due_at = :due_at, {_OWED_AGAIN}, {_ANSWERED}
         WHERE id = :id AND state = 'leased' AND lease_node = :node
        """,
        [_answer(mark) | {"due_at": mark.due_at, "node": node, "now": now} for mark in marks],
    )


async def mark_failed(tx: Tx, marks: Iterable[Mark], *, node: str, now: Instant) -> None:
    """Refused for good, or parked (phase `internal`)."""
    await tx.run_many(
        f"""
        UPDATE outbox SET state = 'failed', ended_at = :now, lease_node = NULL, leased_until = NULL, {_ANSWERED}
         WHERE id = :id AND state = 'leased' AND lease_node = :node
        """,
        [_answer(mark) | {"node": node, "now": now} for mark in marks],
    )


async def mark_expired(tx: Tx, ids: Iterable[int], *, node: str, now: Instant) -> None:
    """Claimed, and too late to be handed over."""
    await tx.run_many(
        """
        UPDATE outbox SET state = 'expired', ended_at = :now, lease_node = NULL, leased_until = NULL
         WHERE id = :id AND state = 'leased' AND lease_node = :node
        """,
        [{"id": id_, "node": node, "now": now} for id_ in ids],
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


async def counts(tx: Tx) -> Counts:
    """How many deliveries are in which state, in all and by lane; every state and lane is there."""
    rows = await tx.fetch("SELECT state, lane, COUNT(*) AS n FROM outbox GROUP BY state, lane")
    found = {(row["state"], row["lane"]): int(row["n"]) for row in rows}
    by_lane = {lane.name.lower(): {str(state): found.get((state, lane), 0) for state in State} for lane in Lane}
    by_state = {str(state): sum(of_lane[state] for of_lane in by_lane.values()) for state in State}
    return Counts(by_state=by_state, by_lane=by_lane)


async def oldest_pending(tx: Tx) -> Instant | None:
    """Since when the longest waiting delivery has been owed."""
    rows = await tx.fetch("SELECT MIN(created_at) AS oldest FROM outbox WHERE state = 'pending'")
    oldest = rows[0]["oldest"]
    return None if oldest is None else Instant(oldest)


def _answer(mark: Mark) -> dict[str, object]:
    return {
        "id": mark.id,
        "attempts": mark.attempts,
        "faults": mark.faults,
        "phase": mark.phase,
        "code": mark.code,
        "enhanced": mark.enhanced,
        "text": mark.text,
    }


def _claimed(row: Row) -> Claimed:
    values = dict(row)
    del values["due_at"]  # orders the claim
    return Claimed(**values | {"lane": Lane(row["lane"]), "no_url": bool(row["no_url"])})
