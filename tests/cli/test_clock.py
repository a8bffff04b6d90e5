"""clock: what an operator sees of it and says about it."""

import asyncio

import pytest

from mailgate.core.instants import DAY, HOUR, SECOND, Instant, later
from mailgate.core.timekeeping import Moment
from mailgate.ops.lock import SenderLock
from mailgate.runtime import SystemClock
from mailgate.store import moments
from mailgate.store.db import Db
from tests.cli.run import Commands


def last_alive(gate: Commands, *, ago: int, boot: str = "") -> None:
    """Let the record say when the gate was last alive; on this boot, unless another is named."""
    machine = SystemClock().moment()

    async def write() -> None:
        db = await Db.open(gate.database)
        try:
            async with db.write() as tx:
                at = later(machine.at, -ago)
                await moments.keep_moment(tx, Moment(at=Instant(at), boot=boot or machine.boot, uptime=machine.uptime))
        finally:
            await db.close()

    asyncio.run(write())


@pytest.mark.parametrize(
    "ago, boot, state, off",
    [
        (0, "", "believed", 0),
        (HOUR, "", "doubted", HOUR),
        (-HOUR, "", "doubted", -HOUR),
        (30 * DAY, "another", "unknown", None),
    ],
)
def test_the_clock_is_shown_with_what_to_do(gate: Commands, ago: int, boot: str, state: str, off: int | None) -> None:
    last_alive(gate, ago=ago, boot=boot)
    shown = gate.json("clock", "show")
    assert (shown["state"], shown["off_s"]) == (state, None if off is None else pytest.approx(off // SECOND, abs=2))
    assert ("believe" in shown["advice"]) == (state != "believed")
    assert (shown["gate"] is None) == (state == "unknown")
    assert f"state: {state}" in gate.ok("clock", "show")


def test_nothing_is_done_while_nobody_knows_what_time_it_is(gate: Commands) -> None:
    last_alive(gate, ago=30 * DAY, boot="another")
    gate.refused(1, "serve", says="mailgate clock believe")
    gate.refused(1, "outbox", "stats", says="mailgate clock believe")
    assert "0 deliveries" in gate.ok("clock", "believe")
    gate.ok("outbox", "stats")
    assert gate.json("clock", "show")["state"] == "believed"


def test_nobody_sets_the_time_under_a_gate_that_runs(gate: Commands) -> None:
    with SenderLock(gate.folder / "sender.lock"):
        gate.refused(1, "clock", "believe", says="stop both sides")
    gate.ok("clock", "believe")
