"""Somebody moves the machine's clock, by an hour or a year, forth or back (MR-60): nothing is lost, and nothing expires for it.

The clock of the gate is moved from outside while it runs, or between its death and its new start (daemon.py).
"""

import asyncio
from pathlib import Path

import pytest

from mailgate.core.instants import DAY, HOUR
from tests.crash.city import City, pause
from tests.crash.traffic import BOARD

YEAR = 365 * DAY
BELIEVED = "the gate believes a clock that jumps"
JUMPS = [
    pytest.param(HOUR, id="an hour forth"),
    pytest.param(-HOUR, id="an hour back", marks=pytest.mark.xfail(strict=True, reason=BELIEVED)),
    pytest.param(YEAR, id="a year forth", marks=pytest.mark.xfail(strict=True, reason=BELIEVED)),
    pytest.param(-YEAR, id="a year back", marks=pytest.mark.xfail(strict=True, reason=BELIEVED)),
]


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_clock_that_jumps_under_a_gate_that_runs(template: Path, tmp_path: Path, jump: int) -> None:
    async with City(tmp_path, template) as city:
        await city.server.order("set", pace_s=0.01)
        async with asyncio.timeout(15), asyncio.TaskGroup() as group:
            group.create_task(city.traffic.one_round())
            await city.copies(200)
            city.victim.move_clock(jump)
        await city.settled(within_s=4)
        verdict = city.verdict()
    assert verdict.faults == []
    assert verdict.duplicates == 0


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_gate_that_was_killed_in_a_broadcast_starts_with_another_time(template: Path, tmp_path: Path, jump: int) -> None:
    async with City(tmp_path, template) as city:
        await city.server.order("set", pace_s=0.01)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.broadcast(BOARD, "all", "運動会のお知らせ"))
            await city.copies(200)
        await city.victim.bury("mail", "web")
        await city.server.next_epoch()
        city.victim.move_clock(jump)
        await city.victim.start()
        if jump == YEAR:  # nobody can know that it was not off for a year: what is owed may wait until somebody has looked
            await pause(0.8)
            await city.victim.bury("mail", "web")
            await city.server.next_epoch()
            city.victim.move_clock(0)
            await city.victim.start()
        await city.settled(within_s=4)
        verdict = city.verdict()
    assert verdict.faults == []
