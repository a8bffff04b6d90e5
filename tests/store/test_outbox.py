"""The outbox on the real engine: what a claim takes and in which order, and that every statement keeps to the table of moves."""

import contextlib
import itertools
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailgate.core.broadcast import Kind
from mailgate.core.broadcast import State as BroadcastState
from mailgate.core.delivery import MOVES, OPEN, Event, Lane, State, move
from mailgate.core.instants import HOUR, MINUTE, SECOND, Instant, later
from mailgate.core.relay import Phase
from mailgate.store import backlog, outbox
from mailgate.store.db import Db, Row, Tx
from mailgate.store.outbox import Claimed, Mark
from tests.fakes import NEW_YEAR_2026
from tests.store.builders import a_broadcast, a_delivery, an_address

NOW = NEW_YEAR_2026
UNTIL = later(NOW, 15 * MINUTE)
NODE = "gate"


def a_mark(id_: int, **values: object) -> Mark:
    known: dict[str, object] = {
        "phase": Phase.EOD,
        "code": 250,
        "enhanced": "2.0.0",
        "text": "2.0.0 ok",
        "due_at": later(NOW, MINUTE),
    }
    return Mark(id=id_, **(known | values))  # type: ignore[arg-type]  # fields by name


async def claim(tx: Tx, *, limit: int = 500, now: Instant = NOW, node: str = NODE) -> list[Claimed]:
    rows = await outbox.due(tx, now=now, limit=limit)
    return await outbox.claim(tx, rows, now=now, until=UNTIL, node=node)


async def the_row(tx: Tx, id_: int) -> Row:
    row = await outbox.by_id(tx, id_)
    assert row is not None
    return row


async def state_of(tx: Tx, id_: int) -> State:
    return State((await the_row(tx, id_))["state"])


# Claiming


async def test_a_claim_gives_what_a_copy_is_made_from(db: Db) -> None:
    async with db.write() as tx:
        address = await an_address(tx)
        id_ = await outbox.enqueue_letter(
            tx,
            letter="invitation",
            params='{"invitation": 3}',
            address_id=address,
            lane=Lane.SINGLE,
            now=NOW,
            due_at=NOW,
            expires_at=later(NOW, HOUR),
        )
        assert await claim(tx) == [
            Claimed(
                id=id_,
                broadcast_id=None,
                letter="invitation",
                params='{"invitation": 3}',
                address_id=address,
                sealed=b"sealed %d" % address,
                lane=Lane.SINGLE,
                created_at=NOW,
                expires_at=later(NOW, HOUR),
                attempt=0,
                faults=0,
            )
        ]
        row = await the_row(tx, id_)
    assert (row["state"], row["lease_node"], row["leased_until"]) == ("leased", NODE, UNTIL)


async def test_the_most_urgent_goes_first_and_in_a_lane_the_longest_due(db: Db) -> None:
    async with db.write() as tx:
        notice, alarm = await a_broadcast(tx), await a_broadcast(tx, kind=Kind.ALERT)
        ordinary = await a_delivery(tx, broadcast_id=notice, lane=Lane.ORDINARY, due_at=later(NOW, -HOUR))
        single_late = await a_delivery(tx, due_at=later(NOW, -1))
        single_early = await a_delivery(tx, due_at=later(NOW, -2))
        alarms = [await a_delivery(tx, broadcast_id=alarm, lane=Lane.ALARM) for _ in range(3)]
        assert [row.id for row in await claim(tx)] == [*alarms, single_early, single_late, ordinary]


async def test_a_claim_takes_no_more_than_its_limit_and_no_row_twice(db: Db) -> None:
    async with db.write() as tx:
        ids = [await a_delivery(tx) for _ in range(7)]
        first = [row.id for row in await claim(tx, limit=5)]
        second = [row.id for row in await claim(tx, limit=5)]
        assert (first, second, await claim(tx)) == (ids[:5], ids[5:], [])


async def test_a_claim_of_some_lanes_leaves_the_others(db: Db) -> None:
    async with db.write() as tx:
        broadcast = await a_broadcast(tx)
        await a_delivery(tx, broadcast_id=broadcast, lane=Lane.ORDINARY)
        single = await a_delivery(tx)
        rows = await outbox.due(tx, now=NOW, limit=9, lanes=(Lane.ALARM, Lane.SINGLE))
        assert [row.id for row in rows] == [single]


async def test_what_is_not_due_is_not_claimed(db: Db) -> None:
    async with db.write() as tx:
        await a_delivery(tx, due_at=later(NOW, 1))
        assert await claim(tx) == []


@pytest.mark.parametrize("state", [state for state in State if state is not State.PENDING])
async def test_only_what_is_pending_is_claimed(db: Db, state: State) -> None:
    async with db.write() as tx:
        await a_delivery(tx, state=state)
        assert await claim(tx) == []


@pytest.mark.parametrize("state", BroadcastState)
async def test_of_broadcasts_only_those_being_sent_are_claimed(db: Db, state: BroadcastState) -> None:
    async with db.write() as tx:
        await a_delivery(tx, broadcast_id=await a_broadcast(tx, state=state), lane=Lane.ORDINARY)
        assert len(await claim(tx)) == (state is BroadcastState.SENDING)


async def test_what_has_expired_is_claimed_to_be_marked_even_of_a_halted_broadcast(db: Db) -> None:
    async with db.write() as tx:
        halted = await a_broadcast(tx, state=BroadcastState.HALTED)
        id_ = await a_delivery(tx, broadcast_id=halted, lane=Lane.ORDINARY, expires_at=NOW)
        assert [row.id for row in await claim(tx)] == [id_]


async def test_what_was_found_due_and_is_so_no_more_is_not_claimed(db: Db) -> None:
    """Somebody halts or cancels its broadcast, or puts it off, between the look and the lease."""
    async with db.write() as tx:
        broadcast = await a_broadcast(tx)
        kept, cancelled, put_off = [
            await a_delivery(tx, broadcast_id=broadcast, lane=Lane.ORDINARY) for _ in range(3)
        ]
    found = await outbox.due(db, now=NOW, limit=10)
    assert [row.id for row in found] == [kept, cancelled, put_off]
    async with db.write() as tx:
        await tx.run("UPDATE outbox SET state = 'cancelled' WHERE id = ?", (cancelled,))
        await tx.run("UPDATE outbox SET due_at = ? WHERE id = ?", (later(NOW, 1), put_off))
    claimed = await outbox.claim(db, found, now=NOW, until=UNTIL, node=NODE)
    assert [row.id for row in claimed] == [kept]
    async with db.read() as tx:
        states = [row["state"] for row in await tx.fetch("SELECT state FROM outbox ORDER BY id")]
    assert states == ["leased", "cancelled", "pending"]


async def test_lanes_come_in_their_order_and_the_limit_is_for_all_of_them(db: Db) -> None:
    async with db.write() as tx:
        ids = {lane: [await a_delivery(tx, lane=lane) for _ in range(3)] for lane in (Lane.ORDINARY, Lane.ALARM, Lane.SINGLE)}
        found = await outbox.due(tx, now=NOW, limit=7)
    assert [row.id for row in found] == [*ids[Lane.ALARM], *ids[Lane.SINGLE], ids[Lane.ORDINARY][0]]


async def test_a_claim_walks_the_index_of_what_is_pending(db: Db) -> None:
    async with db.read() as tx:
        due = outbox._DUE.format(lanes=outbox._DUE_IN_LANE.format(lane=2))
        plan = await tx.fetch(f"EXPLAIN QUERY PLAN {due}", {"now": NOW, "limit": 500})
    steps = [row["detail"] for row in plan]
    assert "SEARCH o USING INDEX outbox_owed (lane=? AND due_at<?)" in steps
    assert not [step for step in steps if step.startswith(("SCAN o", "SCAN a")) or "TEMP B-TREE" in step]


@pytest.mark.parametrize(
    "look, found_by",
    [
        pytest.param(lambda tx: outbox.free_leases(tx, node=NODE, now=NOW), "outbox_open", id="of an earlier run"),
        pytest.param(lambda tx: outbox.free_expired_leases(tx, node=NODE, now=NOW), "outbox_open", id="of the dead"),
        pytest.param(lambda tx: outbox.renew_leases(tx, [1], node=NODE, until=NOW), "PRIMARY KEY", id="renewed"),
    ],
)
async def test_leases_are_found_among_what_is_open_or_by_their_ids(
    db: Db, look: Callable[[Tx], Awaitable[object]], found_by: str
) -> None:
    """They are looked for while millions of rows have ended."""
    seen: list[str] = []

    class Explaining(Tx):
        async def run(self, sql: str, params: object = ()) -> int:
            seen.extend(row["detail"] for row in await self.fetch(f"EXPLAIN QUERY PLAN {sql}", params))  # type: ignore[arg-type]
            return 0

    async with db.write() as tx:
        await look(Explaining(tx._connection))
    assert any(found_by in step for step in seen)
    assert not [step for step in seen if step.startswith("SCAN outbox") and "outbox_open" not in step]


# Leases


async def test_an_earlier_run_of_this_node_is_taken_back_at_once_and_others_are_not(db: Db) -> None:
    async with db.write() as tx:
        ours, theirs = await a_delivery(tx, state=State.LEASED), await a_delivery(tx, state=State.LEASED, node="other")
        assert await outbox.free_leases(tx, node=NODE, now=NOW) == 1
        assert [await state_of(tx, id_) for id_ in (ours, theirs)] == [State.PENDING, State.LEASED]
        assert (await the_row(tx, ours))["lease_node"] is None


async def test_a_dead_nodes_lease_ends_by_itself_and_ours_does_not(db: Db) -> None:
    async with db.write() as tx:
        dead = await a_delivery(tx, state=State.LEASED, node="other", leased_until=NOW)
        alive = await a_delivery(tx, state=State.LEASED, node="other", leased_until=later(NOW, 1))
        ours = await a_delivery(tx, state=State.LEASED, leased_until=NOW)
        assert await outbox.free_expired_leases(tx, node=NODE, now=NOW) == 1
        assert [await state_of(tx, id_) for id_ in (dead, alive, ours)] == [State.PENDING, State.LEASED, State.LEASED]


async def test_a_lease_is_renewed_by_its_node(db: Db) -> None:
    async with db.write() as tx:
        ours, theirs = (
            await a_delivery(tx, state=State.LEASED),
            await a_delivery(tx, state=State.LEASED, node="other", leased_until=NOW),
        )
        assert await outbox.renew_leases(tx, [ours, theirs], node=NODE, until=UNTIL) == 1
        assert [(await the_row(tx, id_))["leased_until"] for id_ in (ours, theirs)] == [UNTIL, NOW]


async def test_what_is_handed_back_is_due_as_it_was(db: Db) -> None:
    async with db.write() as tx:
        id_ = await a_delivery(tx, due_at=later(NOW, -HOUR), attempt=2)
        await claim(tx)
        await outbox.release(tx, [id_], node=NODE, now=NOW)
        row = await the_row(tx, id_)
    assert (row["state"], row["due_at"], row["attempt"], row["lease_node"]) == ("pending", later(NOW, -HOUR), 2, None)


# Marks


async def test_what_the_next_server_said_is_kept(db: Db) -> None:
    async with db.write() as tx:
        taken, later_, never = [await a_delivery(tx, attempt=1) for _ in range(3)]
        await claim(tx)
        await outbox.mark_handed_over(tx, [a_mark(taken)], now=NOW)
        greylisted = a_mark(
            later_, phase=Phase.RCPT, code=450, enhanced="4.2.0", text="greylisted", due_at=later(NOW, HOUR)
        )
        await outbox.mark_deferred(tx, [greylisted], node=NODE, now=NOW)
        await outbox.mark_failed(
            tx, [a_mark(never, phase=Phase.RCPT, code=550, enhanced="5.1.1", text="<***> unknown")], node=NODE, now=NOW
        )
        rows = [await the_row(tx, id_) for id_ in (taken, later_, never)]
    names = (
        "state",
        "phase",
        "reply_code",
        "enhanced",
        "reply_text",
        "attempt",
        "handed_over_at",
        "ended_at",
        "due_at",
        "lease_node",
    )
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("handed_over", "eod", 250, "2.0.0", "2.0.0 ok", 2, NOW, None, NOW, None),
        ("pending", "rcpt", 450, "4.2.0", "greylisted", 2, None, None, later(NOW, HOUR), None),
        ("failed", "rcpt", 550, "5.1.1", "<***> unknown", 2, None, NOW, NOW, None),
    ]


async def test_a_fault_is_counted_apart_from_attempts(db: Db) -> None:
    async with db.write() as tx:
        id_ = await a_delivery(tx, attempt=1, faults=1)
        await claim(tx)
        await outbox.mark_deferred(tx, [a_mark(id_, attempts=0, faults=1)], node=NODE, now=NOW)
        row = await the_row(tx, id_)
    assert (row["attempt"], row["faults"]) == (1, 2)


async def test_another_nodes_lease_is_not_ended_by_a_late_mark_but_an_accepted_copy_is_out(db: Db) -> None:
    """Our lease had run out, and another node took the row."""
    async with db.write() as tx:
        ids = [await a_delivery(tx, state=State.LEASED, node="other") for _ in range(5)]
        await outbox.release(tx, [ids[0]], node=NODE, now=NOW)
        await outbox.mark_deferred(tx, [a_mark(ids[1])], node=NODE, now=NOW)
        await outbox.mark_failed(tx, [a_mark(ids[2])], node=NODE, now=NOW)
        await outbox.mark_expired(tx, [ids[3]], node=NODE, now=NOW)
        await outbox.mark_handed_over(tx, [a_mark(ids[4])], now=NOW)
        assert [await state_of(tx, id_) for id_ in ids] == [State.LEASED] * 4 + [State.HANDED_OVER]


async def test_a_statement_for_nobody_does_nothing(db: Db) -> None:
    async with db.write() as tx:
        await outbox.release(tx, [], node=NODE, now=NOW)
        await outbox.mark_handed_over(tx, [], now=NOW)


# Every statement and every state, against the table of moves.


async def do(tx: Tx, event: Event, id_: int) -> None:
    """The statement of an event, on one row."""
    match event:
        case Event.CLAIM:
            await claim(tx)
        case Event.RELEASE | Event.CANCEL:
            await outbox.release(tx, [id_], node=NODE, now=NOW)
        case Event.ACCEPT:
            await outbox.mark_handed_over(tx, [a_mark(id_)], now=NOW)
        case Event.DEFER:
            await outbox.mark_deferred(tx, [a_mark(id_)], node=NODE, now=NOW)
        case Event.REFUSE | Event.PARK:
            await outbox.mark_failed(tx, [a_mark(id_)], node=NODE, now=NOW)
        case Event.EXPIRE:
            await outbox.mark_expired(tx, [id_], node=NODE, now=NOW)
        case Event.NOTICE_DELIVERED | Event.NOTICE_BOUNCED:
            state = await state_of(tx, id_)
            given = {"outbox_id": id_, "reply_code": 550, "enhanced": "5.1.1", "text": "gone", "now": NOW}
            moved = await outbox.notice(tx, event=event, **given)  # type: ignore[arg-type]  # by name
            assert moved == move(state, event)


# A pending row expires by way of a claim; pending rows are cancelled by their broadcast's statement (broadcasts.cancel_pending).
BY_OTHER_WAYS = {(State.PENDING, Event.EXPIRE), (State.PENDING, Event.CANCEL)}


@pytest.mark.parametrize(
    "state, event", [pair for pair in itertools.product(State, Event) if pair not in BY_OTHER_WAYS]
)
async def test_each_statement_moves_what_the_table_moves_and_nothing_else(db: Db, state: State, event: Event) -> None:
    cancelled = BroadcastState.CANCELLED if event is Event.CANCEL else BroadcastState.SENDING
    async with db.write() as tx:
        broadcast = await a_broadcast(tx, state=cancelled)
        id_ = await a_delivery(tx, broadcast_id=broadcast, lane=Lane.ORDINARY, state=state)
        await do(tx, event, id_)
        assert await state_of(tx, id_) == (move(state, event) or state)


@pytest.mark.parametrize("back", ["release", "defer", "free", "free expired"])
async def test_what_comes_back_from_a_lease_of_a_cancelled_broadcast_is_cancelled(db: Db, back: str) -> None:
    async with db.write() as tx:
        broadcast = await a_broadcast(tx, state=BroadcastState.CANCELLED)
        node = "other" if back == "free expired" else NODE
        id_ = await a_delivery(
            tx, broadcast_id=broadcast, lane=Lane.ORDINARY, state=State.LEASED, node=node, leased_until=NOW
        )
        match back:
            case "release":
                await outbox.release(tx, [id_], node=NODE, now=NOW)
            case "defer":
                await outbox.mark_deferred(tx, [a_mark(id_)], node=NODE, now=NOW)
            case "free":
                await outbox.free_leases(tx, node=NODE, now=NOW)
            case _:
                await outbox.free_expired_leases(tx, node=NODE, now=NOW)
        row = await the_row(tx, id_)
    assert (row["state"], row["ended_at"], row["lease_node"]) == ("cancelled", NOW, None)


# Notices


async def test_a_bounce_can_overtake_our_own_record_of_the_250(db: Db) -> None:
    async with db.write() as tx:
        id_ = await a_delivery(tx)
        await claim(tx)
        await do(tx, Event.NOTICE_BOUNCED, id_)
        await do(tx, Event.ACCEPT, id_)
        row = await the_row(tx, id_)
    assert (row["state"], row["phase"], row["reply_code"], row["ended_at"], row["lease_node"]) == (
        "bounced",
        "notice",
        550,
        NOW,
        None,
    )


async def test_a_notice_for_a_delivery_that_is_not_there_is_none(db: Db) -> None:
    async with db.write() as tx:
        moved = await outbox.notice(
            tx, outbox_id=99, event=Event.NOTICE_BOUNCED, reply_code=None, enhanced=None, text="", now=NOW
        )
    assert moved is None


async def test_an_id_is_never_used_twice(db: Db) -> None:
    """Tokens in mails are made from it."""
    async with db.write() as tx:
        first = await a_delivery(tx)
        await tx.run("DELETE FROM outbox")
        assert await a_delivery(tx) > first


# Halting


async def test_a_halted_broadcast_is_out_of_the_claims_way_until_it_is_called_back(db: Db) -> None:
    async with db.write() as tx:
        broadcast, other = await a_broadcast(tx, state=BroadcastState.HALTED), await a_broadcast(tx)
        ids = [await a_delivery(tx, broadcast_id=broadcast, lane=Lane.ORDINARY, state=state) for state in State]
        await a_delivery(tx, broadcast_id=other, lane=Lane.ORDINARY)
        assert await outbox.put_off(tx, broadcast_id=broadcast) == 1
        rows = [await the_row(tx, id_) for id_ in ids]
        assert [row["due_at"] == row["expires_at"] for row in rows] == [state is State.PENDING for state in State]
        assert await outbox.call_back(tx, broadcast_id=broadcast, now=NOW) == 1
        assert {(await the_row(tx, id_))["due_at"] for id_ in ids} == {NOW}


# Figures


async def test_figures_name_every_state_and_lane(db: Db) -> None:
    async with db.write() as tx:
        await a_delivery(tx, now=later(NOW, 5))
        await a_delivery(tx, now=later(NOW, 3))
        await a_delivery(tx, state=State.HANDED_OVER, now=NOW)
        await a_delivery(tx, broadcast_id=await a_broadcast(tx), lane=Lane.ORDINARY, state=State.BOUNCED)
    async with db.read() as tx:
        counts, oldest = await backlog.counts(tx), await backlog.oldest_pending(tx)
    none = dict.fromkeys(State, 0)
    assert counts.by_state == none | {"pending": 2, "handed_over": 1, "bounced": 1}
    assert counts.by_lane == {
        "alarm": none,
        "single": none | {"pending": 2, "handed_over": 1},
        "ordinary": none | {"bounced": 1},
    }
    assert oldest == later(NOW, 3)


async def test_an_empty_outbox_has_no_oldest(db: Db) -> None:
    async with db.read() as tx:
        assert await backlog.oldest_pending(tx) is None


# Conservation

some_steps = st.lists(
    st.tuples(st.sampled_from([event for event in Event if event is not Event.CANCEL]), st.integers(0, 5)), max_size=25
)


class Undo(Exception):
    """Leaves a transaction without a trace."""


@given(steps=some_steps)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_delivery_is_ever_lost_or_made_whatever_happens(db: Db, steps: list[tuple[Event, int]]) -> None:
    """Pending + leased + handed_over + delivered + bounced + failed + expired + cancelled = enqueued, and each as the table says."""
    with contextlib.suppress(Undo):
        async with db.write() as tx:
            ids = [await a_delivery(tx) for _ in range(6)]
            model = dict.fromkeys(ids, State.PENDING)
            for event, which in steps:
                if (model[ids[which]], event) in BY_OTHER_WAYS:
                    continue
                await do(tx, event, ids[which])
                moved = ids if event is Event.CLAIM else [ids[which]]
                model |= {id_: MOVES.get((model[id_], event), model[id_]) for id_ in moved}
                await tx.run("UPDATE outbox SET due_at = :now", {"now": NOW})
            assert {id_: await state_of(tx, id_) for id_ in ids} == model
            assert sum((await backlog.counts(tx)).by_state.values()) == len(ids)
            leased = {row["id"] for row in await tx.fetch("SELECT id FROM outbox WHERE lease_node IS NOT NULL")}
            assert leased == {id_ for id_, state in model.items() if state is State.LEASED}
            ended = {row["id"] for row in await tx.fetch("SELECT id FROM outbox WHERE ended_at IS NOT NULL")}
            assert ended == {id_ for id_, state in model.items() if state not in {*OPEN, State.HANDED_OVER}}
            raise Undo


async def test_a_second_is_a_million(db: Db) -> None:
    """Instants are microseconds in the store too."""
    async with db.write() as tx:
        id_ = await a_delivery(tx, lane=Lane.ALARM)
        row = await the_row(tx, id_)
    assert row["expires_at"] - row["created_at"] == 6 * 3600 * SECOND
