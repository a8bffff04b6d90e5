"""The sender on a real store, with a relay that does as it is told."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailgate.core.broadcast import Kind
from mailgate.core.broadcast import State as BroadcastState
from mailgate.core.delivery import TERMINAL, Event, Lane, State
from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND, later
from mailgate.core.lines import lines
from mailgate.core.outages import StoreFull
from mailgate.core.relay import CUT, Copy, Deferred, Outcome, Phase, Refused
from mailgate.journeys.deliver import Sender
from mailgate.journeys.marks import RELAY_AWAY
from mailgate.journeys.ports import Unmakeable
from mailgate.store import backlog, outbox
from mailgate.store.db import Db, Params, Row, Tx
from mailgate.store.outbox import Claimed
from tests.fakes import ACCEPTED, NEW_YEAR_2026, FakeClock, FixedDice, ScriptedRelay
from tests.fixtures_store import make_database
from tests.store.builders import a_broadcast, a_delivery, an_address

NOW = NEW_YEAR_2026
NEVER = 3600.0  # a look that does not come by itself

GREYLISTED = Deferred(phase=Phase.RCPT, code=450, enhanced="4.2.0", text="greylisted")
UNKNOWN = Refused(phase=Phase.RCPT, code=550, enhanced="5.1.1", text="unknown")
NOBODY_THERE = Deferred(phase=Phase.CONNECT, code=None, enhanced=None, text="refused")
AN_EXCEPTION = Deferred(phase=Phase.INTERNAL, code=None, enhanced=None, text="RuntimeError")


class StumblingDb(Db):
    """A store whose next writes fail as they are told to."""

    faults: list[Exception]

    @asynccontextmanager
    async def write(self, *, brief: bool = False) -> AsyncIterator[Tx]:
        if self.faults:
            raise self.faults.pop(0)
        async with super().write(brief=brief) as tx:
            yield tx

    async def run(self, sql: str, params: Params = ()) -> int:
        if self.faults:
            raise self.faults.pop(0)
        return await super().run(sql, params)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[StumblingDb]:
    opened = await StumblingDb.open(make_database(tmp_path / "mailgate.db"))
    assert isinstance(opened, StumblingDb)
    opened.faults = []
    yield opened
    await opened.close()


class AWriter:
    """Writes a copy to `r<id>@docomo.example`; for an id in `answers` it says or raises that instead."""

    def __init__(self) -> None:
        self.answers: dict[int, Unmakeable | Exception | None] = {}
        self.next_fault: Exception | None = None
        self.batches: list[list[int]] = []
        self.may_give = asyncio.Event()
        self.may_give.set()

    async def write(self, rows: Sequence[Claimed], give: Callable[[Sequence[Copy | Unmakeable]], None]) -> None:
        self.batches.append([row.id for row in rows])
        await self.may_give.wait()
        fault, self.next_fault = self.next_fault, None
        if fault is not None:
            raise fault
        for row in rows:
            answer = self._one(row)
            if answer is not None:
                give([answer])

    def _one(self, row: Claimed) -> Copy | Unmakeable | None:
        if row.id not in self.answers:
            return a_copy(row.id)
        answer = self.answers[row.id]
        if isinstance(answer, Exception):
            raise answer
        return answer


class AnExpander:
    """Has so many chunks to expand, or faults."""

    def __init__(self) -> None:
        self.chunks: list[Callable[[], Awaitable[object]] | Exception] = []
        self.looks = 0
        self.settled = 0
        self.settle_fault: Exception | None = None

    async def step(self) -> bool:
        self.looks += 1
        if not self.chunks:
            return False
        chunk = self.chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        await chunk()
        return True

    async def settle(self) -> None:
        self.settled += 1
        if self.settle_fault is not None:
            raise self.settle_fault


def a_copy(id_: int) -> Copy:
    return Copy(id=id_, sender="b+token@gate.example", recipient=f"r{id_}@docomo.example", content=lines(b"\r\n"))


class Bench:
    """A sender and all it stands on."""

    def __init__(self, db: StumblingDb) -> None:
        self.db = db
        self.clock = FakeClock()
        self.relay = ScriptedRelay()
        self.writer = AWriter()
        self.expander = AnExpander()

    def sender(self, *, connections: int = 16, **values: Any) -> Sender:
        self.relay.connections = connections
        known: dict[str, Any] = {"look_s": 0.02, "pause_s": 0.01, "grace_s": 20.0}
        return Sender(
            db=self.db,
            relay=self.relay,
            writer=self.writer,
            expander=self.expander,
            clock=self.clock,
            dice=FixedDice(),
            **(known | values),
        )

    @asynccontextmanager
    async def sending(self, **values: Any) -> AsyncIterator[Sender]:
        """A sender that runs, and is stopped in order."""
        sender, stop = self.sender(**values), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(sender.run(stop))
            try:
                yield sender
            finally:
                stop.set()

    async def some(self, count: int, **values: Any) -> list[int]:
        async with self.db.write() as tx:
            return [await a_delivery(tx, **values) for _ in range(count)]

    async def row(self, id_: int) -> Row:
        async with self.db.read() as tx:
            row = await outbox.by_id(tx, id_)
        assert row is not None
        return row

    async def states(self, ids: Sequence[int]) -> list[State]:
        return [State((await self.row(id_))["state"]) for id_ in ids]

    async def counts(self) -> dict[str, int]:
        async with self.db.read() as tx:
            return {state: n for state, n in (await backlog.counts(tx)).by_state.items() if n}

    async def until(self, **counts: int) -> None:
        """Wait until the outbox holds exactly this."""
        while await self.counts() != counts:
            await asyncio.sleep(0.005)

    async def until_row(self, id_: int, **values: object) -> Row:
        """Wait until a row is so."""
        while True:
            row = await self.row(id_)
            if all(row[name] == value for name, value in values.items()):
                return row
            await asyncio.sleep(0.005)

    async def expander_looked(self, times: int) -> None:
        """Wait until the sender has looked for work so many times more."""
        wanted = self.expander.looks + times
        while self.expander.looks < wanted:
            await asyncio.sleep(0.005)

    def handed_over(self) -> list[int]:
        return [copy.id for copy in self.relay.taken]


@pytest.fixture
def bench(db: StumblingDb) -> Bench:
    return Bench(db)


# The way through


async def test_what_is_owed_is_handed_over_once_and_marked(bench: Bench) -> None:
    ids = await bench.some(120)
    async with bench.sending(batch=50):
        await bench.until(handed_over=120)
    assert sorted(bench.handed_over()) == ids
    row = await bench.row(ids[0])
    assert (row["phase"], row["reply_code"], row["enhanced"], row["reply_text"]) == ("eod", 250, "2.0.0", "2.0.0 ok")
    assert (row["attempt"], row["handed_over_at"], row["lease_node"]) == (1, NOW, None)


async def test_a_wake_is_enough(bench: Bench) -> None:
    async with bench.sending(look_s=NEVER) as sender:
        await bench.some(1)
        sender.wake()
        await bench.relay.came(1)


async def test_without_a_wake_it_looks_by_itself(bench: Bench) -> None:
    async with bench.sending():
        await bench.some(1)
        await bench.relay.came(1)


async def test_a_long_queue_needs_no_wake_between_batches(bench: Bench) -> None:
    await bench.some(40)
    bench.relay.hold()
    async with bench.sending(look_s=NEVER, batch=4, window=3, connections=2):
        await bench.until(leased=8, pending=32)  # two under way, more than a batch waits: it looks no more
        bench.relay.let_go()
        await bench.until(handed_over=40)


async def test_the_next_batch_is_claimed_while_copies_are_being_made_and_no_third_one(bench: Bench) -> None:
    ids = await bench.some(15, lane=Lane.ORDINARY)
    bench.writer.may_give.clear()
    async with bench.sending(batch=5):
        await bench.until(leased=10, pending=5)
        await bench.expander_looked(3)
        assert bench.writer.batches == [ids[:5], ids[5:10]]
        assert await bench.counts() == {"leased": 10, "pending": 5}
        bench.writer.may_give.set()
        await bench.until(handed_over=15)
    assert sorted(bench.handed_over()) == ids


async def test_rows_that_no_copy_is_made_of_make_room_for_others(bench: Bench) -> None:
    """Nothing that is taken wakes the sender, and nobody else does."""
    ids = await bench.some(40)
    bench.writer.answers = {id_: Unmakeable(id=id_, permanent=True) for id_ in ids[:32]}
    bench.writer.answers[ids[0]] = ValueError("no copy")
    bench.writer.may_give.clear()
    async with bench.sending(look_s=NEVER, batch=4, window=3):
        await bench.until(leased=8, pending=32)
        bench.writer.may_give.set()
        await bench.until(failed=31, handed_over=8, pending=1)


# Lanes


async def test_an_alarm_overtakes_and_ordinary_copies_not_begun_are_handed_back(bench: Bench) -> None:
    async with bench.db.write() as tx:
        notice = await a_broadcast(tx)
        ordinary = [await a_delivery(tx, broadcast_id=notice, lane=Lane.ORDINARY) for _ in range(6)]
    bench.relay.hold()
    async with bench.sending(connections=1, batch=6, look_s=NEVER) as sender:
        await bench.relay.came(1)
        assert await bench.counts() == {"leased": 6}
        async with bench.db.write() as tx:
            alert = await a_broadcast(tx, kind=Kind.ALERT)
            alarm = [await a_delivery(tx, broadcast_id=alert, lane=Lane.ALARM) for _ in range(20)]
        sender.wake()
        await bench.until(leased=13, pending=13)  # the one under way, and more than a batch of the alarm
        assert await bench.states(ordinary) == [State.LEASED] + 5 * [State.PENDING]
        bench.relay.let_go()
        await bench.until(handed_over=26)
    assert bench.handed_over() == [ordinary[0], *alarm, *ordinary[1:]]


async def test_a_single_letter_overtakes_ordinary_copies_that_wait(bench: Bench) -> None:
    async with bench.db.write() as tx:
        notice = await a_broadcast(tx)
        ordinary = [await a_delivery(tx, broadcast_id=notice, lane=Lane.ORDINARY) for _ in range(6)]
    bench.relay.hold()
    async with bench.sending(connections=1, batch=6, look_s=NEVER) as sender:
        await bench.relay.came(1)
        (letter,) = await bench.some(1)
        sender.wake()
        await bench.until_row(letter, state="leased")
        bench.relay.let_go()
        await bench.until(handed_over=7)
    assert bench.handed_over()[:3] == [ordinary[0], letter, ordinary[1]]


@pytest.mark.parametrize("state", [BroadcastState.HALTED, BroadcastState.CANCELLED])
async def test_nothing_of_a_broadcast_that_is_not_being_sent_goes_out(bench: Bench, state: BroadcastState) -> None:
    async with bench.db.write() as tx:
        broadcast = await a_broadcast(tx, state=state)
        held = await a_delivery(tx, broadcast_id=broadcast, lane=Lane.ORDINARY)
        letter = await a_delivery(tx)
    async with bench.sending():
        await bench.until_row(letter, state="handed_over")
    assert bench.handed_over() == [letter]
    assert await bench.states([held]) == [State.PENDING]


async def test_what_waited_when_its_broadcast_was_cancelled_is_cancelled_when_it_comes_back(bench: Bench) -> None:
    async with bench.db.write() as tx:
        broadcast = await a_broadcast(tx)
        ids = [await a_delivery(tx, broadcast_id=broadcast, lane=Lane.ORDINARY) for _ in range(3)]
    bench.relay.hold()
    async with bench.sending(connections=1):
        await bench.relay.came(1)
        async with bench.db.write() as tx:
            await tx.run("UPDATE broadcast SET state = 'cancelled'")
        asyncio.get_running_loop().call_later(0.05, bench.relay.let_go)
    assert (await bench.states(ids))[1:] == [State.CANCELLED] * 2


# The window


async def test_no_more_than_the_window_is_out_and_not_marked(bench: Bench) -> None:
    """A kill at this moment duplicates what was handed over and not marked."""
    await bench.some(40)
    bench.relay.hold()
    async with bench.sending(window=7, connections=4):
        await bench.relay.came(4)
        async with bench.db.write():  # nobody commits a mark meanwhile
            bench.relay.let_go()
            await bench.relay.came(7)
            for _ in range(200):
                await asyncio.sleep(0)
            assert len(bench.relay.taken) == 7
        await bench.until(handed_over=40)


async def test_a_sender_that_is_killed_and_started_again_loses_nothing_and_doubles_no_more_than_its_window(
    bench: Bench,
) -> None:
    ids = await bench.some(60)
    for _ in range(5):
        before = len(bench.relay.taken)
        killed = asyncio.create_task(bench.sender(window=6, connections=3, batch=10).run(asyncio.Event()))
        await bench.relay.came(before + 5)
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
    async with bench.sending(window=6):
        await bench.until(handed_over=60)
    times = Counter(bench.handed_over())
    assert sorted(times) == ids
    assert sum(times.values()) - len(ids) <= 5 * 6


# What comes of an answer


async def test_a_copy_put_off_is_tried_again_by_the_schedule_of_its_lane(bench: Bench) -> None:
    bench.relay = ScriptedRelay([GREYLISTED, GREYLISTED])
    (id_,) = await bench.some(1)
    async with bench.sending() as sender:
        row = await bench.until_row(id_, attempt=1)
        assert (row["state"], row["due_at"], row["phase"], row["reply_code"]) == (
            "pending",
            later(NOW, 5 * MINUTE),
            "rcpt",
            450,
        )
        bench.clock.pass_(5 * MINUTE - 1)
        sender.wake()
        await bench.expander_looked(2)
        assert len(bench.relay.taken) == 1
        bench.clock.pass_(1)
        await bench.until_row(id_, attempt=2)
        bench.clock.pass_(5 * MINUTE)
        row = await bench.until_row(id_, state="handed_over")
    assert row["attempt"] == 3


async def test_a_copy_refused_has_failed(bench: Bench) -> None:
    bench.relay = ScriptedRelay([UNKNOWN])
    (id_,) = await bench.some(1)
    async with bench.sending():
        row = await bench.until_row(id_, state="failed")
    assert (row["phase"], row["reply_code"], row["enhanced"], row["reply_text"], row["ended_at"]) == (
        "rcpt",
        550,
        "5.1.1",
        "unknown",
        NOW,
    )


async def test_one_bad_copy_does_not_stop_the_others(bench: Bench) -> None:
    bench.relay = ScriptedRelay([UNKNOWN, GREYLISTED, AN_EXCEPTION])
    await bench.some(10)
    async with bench.sending():
        await bench.until(failed=1, pending=2, handed_over=7)


async def test_a_bounce_that_overtook_our_mark_stands(bench: Bench) -> None:
    bench.relay.hold()
    (id_,) = await bench.some(1)
    async with bench.sending():
        await bench.relay.came(1)
        async with bench.db.write() as tx:
            given = {"reply_code": 550, "enhanced": "5.1.1", "text": "gone", "now": NOW}
            await outbox.notice(tx, outbox_id=id_, event=Event.NOTICE_BOUNCED, **given)  # type: ignore[arg-type]  # by name
        bench.relay.let_go()
    assert await bench.states([id_]) == [State.BOUNCED]


async def test_a_relay_that_is_not_there_costs_no_attempt(bench: Bench) -> None:
    bench.relay = ScriptedRelay([NOBODY_THERE] * 3)
    (id_,) = await bench.some(1)
    async with bench.sending(connections=1):
        for count in (1, 2, 3):
            await bench.relay.came(count)
            row = await bench.until_row(id_, state="pending", phase="connect")
            assert (row["attempt"], row["due_at"]) == (0, later(bench.clock.now(), RELAY_AWAY))
            bench.clock.pass_(RELAY_AWAY)
        row = await bench.until_row(id_, state="handed_over")
    assert row["attempt"] == 1


# What expires


async def test_what_has_expired_is_never_handed_over(bench: Bench) -> None:
    async with bench.db.write() as tx:
        halted = await a_broadcast(tx, state=BroadcastState.HALTED)
        ids = [
            await a_delivery(tx, expires_at=NOW),
            await a_delivery(tx, broadcast_id=halted, lane=Lane.ORDINARY, expires_at=NOW),
        ]
    async with bench.sending():
        await bench.until(expired=2)
    assert bench.relay.taken == []
    assert bench.writer.batches == []
    assert (await bench.row(ids[0]))["ended_at"] == NOW


async def test_what_expires_while_it_waits_for_a_connection_is_not_handed_over(bench: Bench) -> None:
    bench.relay.hold()
    ids = await bench.some(2)
    async with bench.sending(connections=1, window=1):
        await bench.relay.came(1)
        bench.clock.pass_(HOUR)
        bench.relay.let_go()
        await bench.until(handed_over=1, expired=1)
        assert bench.handed_over() == ids[:1]
        await bench.some(1, now=bench.clock.now())  # and the place in the window is free again
        await bench.until(handed_over=2, expired=1)


async def test_a_copy_put_off_again_and_again_expires_at_the_end_of_its_lifetime(bench: Bench) -> None:
    bench.relay = ScriptedRelay([GREYLISTED] * 1000)
    (id_,) = await bench.some(1)
    async with bench.sending():
        while await bench.states([id_]) != [State.EXPIRED]:
            bench.clock.pass_(MINUTE)
            await bench.expander_looked(1)
    assert bench.clock.now() <= later(NOW, 32 * MINUTE)


# Writing


@pytest.mark.parametrize("permanent, state, attempt", [(True, "failed", 1), (False, "pending", 1)])
async def test_a_row_that_no_copy_can_be_made_of(bench: Bench, permanent: bool, state: str, attempt: int) -> None:
    ids = await bench.some(2)
    bench.writer.answers[ids[0]] = Unmakeable(id=ids[0], permanent=permanent)
    async with bench.sending():
        await bench.until_row(ids[1], state="handed_over")
        row = await bench.until_row(ids[0], state=state, attempt=attempt)
    assert row["phase"] == "internal"


async def test_three_exceptions_on_one_row_park_it_and_the_others_flow(bench: Bench) -> None:
    ids = await bench.some(5, lane=Lane.ALARM)
    poison = ids[2]
    bench.writer.answers[poison] = KeyError("hanako@docomo.example")
    async with bench.sending():
        row = await bench.until_row(poison, faults=1)
        assert (row["state"], row["due_at"], row["attempt"]) == ("pending", later(NOW, 75 * SECOND), 0)
        await bench.until(handed_over=4, pending=1)
        bench.clock.pass_(75 * SECOND)
        await bench.until_row(poison, faults=2)
        bench.clock.pass_(150 * SECOND)
        row = await bench.until_row(poison, state="failed")
    assert (row["phase"], row["faults"], row["reply_text"]) == ("internal", 3, "KeyError")


async def test_a_row_that_the_writer_forgot_counts_as_one_that_made_us_stumble(bench: Bench) -> None:
    ids = await bench.some(2)
    bench.writer.answers[ids[0]] = None
    async with bench.sending():
        await bench.until_row(ids[1], state="handed_over")
        await bench.until_row(ids[0], state="pending", faults=1)


async def test_three_exceptions_of_the_relay_park_a_row_too(bench: Bench) -> None:
    bench.relay = ScriptedRelay([AN_EXCEPTION])
    (id_,) = await bench.some(1, faults=2)
    async with bench.sending(window=1):
        row = await bench.until_row(id_, state="failed")
        assert (row["phase"], row["faults"]) == ("internal", 3)
        (other,) = await bench.some(1)
        await bench.until_row(other, state="handed_over")


@pytest.mark.parametrize("fault", [sqlite3.OperationalError("database is locked"), StoreFull(), OSError(5, "io")])
async def test_a_store_that_does_not_work_is_no_fault_of_a_row(bench: Bench, fault: Exception) -> None:
    ids = await bench.some(3)
    bench.writer.next_fault = fault
    async with bench.sending():
        await bench.until(handed_over=3)
    assert [(await bench.row(id_))["faults"] for id_ in ids] == [0, 0, 0]


async def test_a_store_that_fails_in_the_middle_of_narrowing_down_is_no_fault_of_a_row(bench: Bench) -> None:
    ids = await bench.some(3)
    bench.writer.next_fault = KeyError()
    bench.writer.answers[ids[1]] = sqlite3.OperationalError("database is locked")
    async with bench.sending():
        await bench.until_row(ids[2], state="handed_over")
        await bench.until_row(ids[0], state="handed_over")
        del bench.writer.answers[ids[1]]
        await bench.until(handed_over=3)
    assert (await bench.row(ids[1]))["faults"] == 0


# Faults of the store


async def test_a_mark_that_cannot_be_committed_is_tried_again_and_nothing_goes_out_twice(bench: Bench) -> None:
    bench.relay.hold()
    ids = await bench.some(8)
    async with bench.sending(look_s=NEVER):
        await bench.relay.came(8)
        bench.db.faults = [sqlite3.OperationalError("database is locked"), StoreFull()]
        bench.relay.let_go()
        await bench.until(handed_over=8)
    assert bench.db.faults == []
    assert sorted(bench.handed_over()) == ids


async def test_a_claim_that_fails_is_tried_again(bench: Bench) -> None:
    async with bench.sending():
        await bench.expander_looked(1)
        await bench.some(3)
        bench.db.faults = [sqlite3.OperationalError("database is locked"), StoreFull()]
        await bench.until(handed_over=3)


async def test_a_start_waits_for_a_store_that_is_locked(bench: Bench) -> None:
    (id_,) = await bench.some(1, state=State.LEASED)
    bench.db.faults = [sqlite3.OperationalError("database is locked")]
    async with bench.sending():
        await bench.until_row(id_, state="handed_over")


async def test_a_start_that_never_succeeds_can_be_stopped(bench: Bench) -> None:
    bench.db.faults = [sqlite3.OperationalError("database is locked")] * 10_000
    async with bench.sending():
        await asyncio.sleep(0.05)
    assert bench.relay.is_closed


class StumblingRelay(ScriptedRelay):
    """Raises at its next so many nudges."""

    stumbles = 0

    def nudge(self) -> None:
        if self.stumbles:
            self.stumbles -= 1
            raise KeyError
        super().nudge()


async def test_a_relay_that_stumbles_when_it_is_nudged_does_not_stop_the_sender(bench: Bench) -> None:
    bench.relay = relay = StumblingRelay()
    async with bench.sending():
        await bench.expander_looked(1)
        relay.stumbles = 3
        await bench.some(3)
        await relay.came(3)
    assert relay.stumbles == 0


# Leases


async def test_a_start_takes_back_what_an_earlier_run_left_and_leaves_other_nodes_alone(bench: Bench) -> None:
    (ours,) = await bench.some(1, state=State.LEASED)
    (theirs,) = await bench.some(1, state=State.LEASED, node="other")
    async with bench.sending():
        await bench.until_row(ours, state="handed_over")
    assert await bench.states([theirs]) == [State.LEASED]


async def test_leases_are_renewed_while_a_copy_takes_its_time_and_those_of_the_dead_are_freed(bench: Bench) -> None:
    bench.relay.hold()
    (slow,) = await bench.some(1, lane=Lane.ORDINARY, broadcast_id=None)
    (theirs,) = await bench.some(1, state=State.LEASED, node="other", leased_until=later(NOW, MINUTE))
    async with bench.sending():
        await bench.relay.came(1)
        bench.clock.pass_(5 * MINUTE)
        await bench.relay.came(2)
        row = await bench.until_row(slow, state="leased")
        assert row["leased_until"] == later(NOW, 20 * MINUTE)
        bench.relay.let_go()
        await bench.until(handed_over=2)
    assert bench.handed_over() == [slow, theirs]


async def test_a_copy_that_is_out_is_not_begun_again_when_its_row_comes_back_by_another_node(bench: Bench) -> None:
    """Its lease ran out while we stood still, and somebody else freed it."""
    bench.relay.hold()
    (id_,) = await bench.some(1)
    async with bench.sending():
        await bench.relay.came(1)
        async with bench.db.write() as tx:
            await tx.run("UPDATE outbox SET state = 'pending', lease_node = NULL, leased_until = NULL")
        await bench.until_row(id_, state="leased")
        await bench.expander_looked(2)
        bench.relay.let_go()
        await bench.until(handed_over=1)
    assert bench.handed_over() == [id_]


# The end


async def test_a_stop_lets_copies_under_way_end_and_hands_back_the_rest(bench: Bench) -> None:
    bench.relay.hold()
    ids = await bench.some(10)
    sender, stop = bench.sender(connections=2), asyncio.Event()
    running = asyncio.create_task(sender.run(stop))
    await bench.relay.came(2)
    stop.set()
    await bench.until(leased=2, pending=8)
    bench.relay.let_go()
    await running
    assert await bench.states(ids) == [State.HANDED_OVER] * 2 + [State.PENDING] * 8
    assert bench.relay.is_closed


async def test_a_stop_lets_copies_be_made_and_hands_them_back(bench: Bench) -> None:
    ids = await bench.some(6)
    bench.writer.may_give.clear()
    bench.relay.hold()
    sender, stop = bench.sender(batch=3, connections=1), asyncio.Event()
    running = asyncio.create_task(sender.run(stop))
    await bench.until(leased=6)
    stop.set()
    bench.writer.may_give.set()
    await bench.until(leased=1, pending=5)
    bench.relay.let_go()
    await running
    assert await bench.states(ids) == [State.HANDED_OVER] + [State.PENDING] * 5


async def test_a_sender_that_is_cut_down_leaves_no_writing_behind(bench: Bench) -> None:
    await bench.some(6)
    bench.writer.may_give.clear()
    running = asyncio.create_task(bench.sender(batch=3).run(asyncio.Event()))
    await bench.until(leased=6)
    running.cancel()
    await asyncio.wait([running])
    await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if "write" in repr(task.get_coro())] == []


async def test_what_does_not_end_within_the_grace_is_owed_again(bench: Bench) -> None:
    bench.relay.hold()
    ids = await bench.some(3)
    async with bench.sending(connections=1, grace_s=0.01):
        await bench.relay.came(1)
    assert await bench.states(ids) == [State.PENDING] * 3
    assert bench.relay.under_way == 0


async def test_a_mark_that_fails_while_we_leave_is_tried_again(bench: Bench) -> None:
    bench.relay.hold()
    ids = await bench.some(3)
    async with bench.sending():
        await bench.relay.came(3)
        bench.db.faults = [sqlite3.OperationalError("database is locked")] * 3
        asyncio.get_running_loop().call_later(0.05, bench.relay.let_go)
    assert await bench.states(ids) == [State.HANDED_OVER] * 3


async def test_a_copy_that_the_relay_cut_off_is_owed_as_it_was(bench: Bench) -> None:
    bench.relay = ScriptedRelay([CUT])
    (id_,) = await bench.some(1)
    before = await bench.row(id_)
    async with bench.sending():
        await bench.relay.came(2)
        await bench.until(handed_over=1)
    assert (await bench.row(id_))["attempt"] == before["attempt"] + 1


async def test_a_stop_with_a_store_that_is_locked_ends_all_the_same(bench: Bench) -> None:
    bench.relay.hold()
    ids = await bench.some(1)
    async with bench.sending(grace_s=0.01):
        await bench.relay.came(1)
        bench.db.faults = [sqlite3.OperationalError("database is locked")] * 10_000
    bench.db.faults = []
    assert await bench.states(ids) == [State.LEASED]


# Broadcasts


async def test_chunks_are_expanded_and_sent_as_they_come(bench: Bench) -> None:
    async def chunk() -> list[int]:
        return await bench.some(3)

    bench.expander.chunks = [chunk, chunk, chunk]
    async with bench.sending(look_s=NEVER):
        await bench.until(handed_over=9)


async def test_an_expander_that_stumbles_does_not_stop_the_mail(bench: Bench) -> None:
    bench.expander.chunks = [KeyError()] * 100_000
    bench.expander.settle_fault = KeyError()
    await bench.some(3)
    async with bench.sending():
        await bench.until(handed_over=3)
    assert bench.expander.chunks


async def test_broadcasts_are_settled_when_the_last_copy_is_marked(bench: Bench) -> None:
    bench.relay.hold()
    async with bench.db.write() as tx:
        broadcast = await a_broadcast(tx)
        for _ in range(3):
            await a_delivery(tx, broadcast_id=broadcast, lane=Lane.ORDINARY)
    async with bench.sending(look_s=NEVER):
        await bench.relay.came(3)
        before = bench.expander.settled
        bench.relay.let_go()
        await bench.until(handed_over=3)
        while bench.expander.settled == before:
            await asyncio.sleep(0.005)


# The law

some_outcome = st.sampled_from([ACCEPTED, ACCEPTED, GREYLISTED, UNKNOWN, NOBODY_THERE, AN_EXCEPTION])


@given(answers=st.lists(some_outcome, max_size=30), lanes=st.lists(st.sampled_from(Lane), min_size=1, max_size=12))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_the_relay_says_every_delivery_ends_once(
    db: StumblingDb, answers: list[Outcome], lanes: list[Lane]
) -> None:
    async with db.write() as tx:
        await tx.run("DELETE FROM outbox")
        address = await an_address(tx)
        ids = [await a_delivery(tx, lane=lane, address_id=address) for lane in lanes]
    bench = Bench(db)
    bench.relay = ScriptedRelay(answers)
    ended = {*TERMINAL, State.HANDED_OVER}
    async with bench.sending(window=3, connections=2, batch=4):
        while not set(await bench.states(ids)) <= ended:
            bench.clock.pass_(20 * SECOND)
            await bench.expander_looked(1)
    counts = await bench.counts()
    assert sum(counts.values()) == len(ids)
    assert bench.clock.now() < later(NOW, 4 * DAY)
