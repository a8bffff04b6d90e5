"""Rows for tests, made by plain SQL. Each builder fills in what a test does not care about and gives the new row's id."""

from mailgate.core.broadcast import LANE, Kind
from mailgate.core.broadcast import State as BroadcastState
from mailgate.core.delivery import LIFETIME, Lane, State
from mailgate.core.instants import Instant, later
from mailgate.store.db import Tx
from tests.fakes import NEW_YEAR_2026


async def an_address(
    tx: Tx, *, provider: str = "docomo", site: str = "docomo", paused_at: Instant | None = None
) -> int:
    """A mailbox. What is sealed in it is the word `sealed` and its number."""
    number = await _next(tx, "address")
    await tx.run(
        """
        INSERT INTO address (id, sealed, lookup, provider, site, created_at, paused_at)
        VALUES (:id, :sealed, :lookup, :provider, :site, :now, :paused_at)
        """,
        {
            "id": number,
            "sealed": b"sealed %d" % number,
            "lookup": b"lookup %d" % number,
            "provider": provider,
            "site": site,
            "now": NEW_YEAR_2026,
            "paused_at": paused_at,
        },
    )
    return number


async def a_staff_member(tx: Tx, *, role: str = "board", scope: str = "all") -> int:
    """Somebody who sends, with an address of their own."""
    number = await _next(tx, "staff")
    await tx.run(
        """
        INSERT INTO staff (id, address_id, name, role, scope, pin_hash, submission_hash, totp_sealed, created_at)
        VALUES (:id, :address_id, '教育 委員', :role, :scope, 'pin', 'submission', x'00', :now)
        """,
        {"id": number, "address_id": await an_address(tx), "role": role, "scope": scope, "now": NEW_YEAR_2026},
    )
    return number


async def a_broadcast(
    tx: Tx,
    *,
    kind: Kind = Kind.NOTICE,
    state: BroadcastState = BroadcastState.SENDING,
    staff_id: int | None = None,
    now: Instant = NEW_YEAR_2026,
) -> int:
    """A broadcast that is being sent, unless told otherwise."""
    number = await _next(tx, "broadcast")
    await tx.run(
        """
        INSERT INTO broadcast (id, link_id, state, kind, lane, staff_id, source, subject, text, cut, created_at, confirmed_at, expires_at)
        VALUES (:id, :link_id, :state, :kind, :lane, :staff_id, x'00', x'00', x'00', x'00', :now, :now, :expires_at)
        """,
        {
            "id": number,
            "link_id": number.to_bytes(15, "big"),
            "state": state,
            "kind": kind,
            "lane": LANE[kind],
            "staff_id": await a_staff_member(tx) if staff_id is None else staff_id,
            "now": now,
            "expires_at": later(now, LIFETIME[LANE[kind]]),
        },
    )
    return number


async def a_delivery(
    tx: Tx,
    *,
    broadcast_id: int | None = None,
    lane: Lane = Lane.SINGLE,
    state: State = State.PENDING,
    address_id: int | None = None,
    now: Instant = NEW_YEAR_2026,
    due_at: Instant | None = None,
    expires_at: Instant | None = None,
    attempt: int = 0,
    faults: int = 0,
    node: str | None = None,
    leased_until: Instant | None = None,
) -> int:
    """A row of the outbox: a single letter, or with a broadcast's id one of its copies. A leased one is `gate`'s unless told otherwise."""
    leased = state is State.LEASED
    rows = await tx.fetch(
        """
        INSERT INTO outbox (broadcast_id, letter, params, address_id, lane, state, created_at, due_at, expires_at, attempt, faults,
                            lease_node, leased_until)
        VALUES (:broadcast_id, :letter, :params, :address_id, :lane, :state, :now, :due_at, :expires_at, :attempt, :faults,
                :node, :leased_until)
        RETURNING id
        """,
        {
            "broadcast_id": broadcast_id,
            "letter": "completion" if broadcast_id is None else None,
            "params": "{}" if broadcast_id is None else None,
            "address_id": await an_address(tx) if address_id is None else address_id,
            "lane": lane,
            "state": state,
            "now": now,
            "due_at": now if due_at is None else due_at,
            "expires_at": later(now, LIFETIME[lane]) if expires_at is None else expires_at,
            "attempt": attempt,
            "faults": faults,
            "node": (node or "gate") if leased else node,
            "leased_until": leased_until if leased_until is not None or not leased else later(now, LIFETIME[lane]),
        },
    )
    return int(rows[0]["id"])


async def _next(tx: Tx, table: str) -> int:
    rows = await tx.fetch(f"SELECT COALESCE(MAX(id), 0) + 1 AS next FROM {table}")
    return int(rows[0]["next"])
