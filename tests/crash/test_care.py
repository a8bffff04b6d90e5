"""A sender that dies right after each start: from the third unclean start on it takes one row at a time, and nothing is lost or parked."""

import asyncio
from pathlib import Path

from tests.crash.city import City, pause
from tests.crash.traffic import BOARD


async def kill(city: City) -> int:
    """Kill the mail side and start it again; the epoch that has ended."""
    await city.victim.bury("mail")
    ended = await city.server.next_epoch()
    await city.victim.start("mail")
    return ended


async def test_three_unclean_starts_within_a_minute_make_the_next_one_careful(template: Path, tmp_path: Path) -> None:
    async with City(tmp_path, template) as city:
        await city.server.order("set", pace_s=0.05)
        async with asyncio.TaskGroup() as group:
            group.create_task(city.traffic.broadcast(BOARD, "all", "運動会のお知らせ"))
            await city.copies(70)
        for _ in range(2):
            await kill(city)
            await city.copies(70)
        assert city.victim.logged("sender.careful") == []
        await kill(city)
        await city.copies(5)
        careful = await kill(city)  # it stays so: ten have not gone out
        async with asyncio.timeout(10):
            while len(city.victim.logged("sender.careful")) < 2:
                await pause(0.02)
        assert city.victim.logged("sender.reassured") == []
        await city.server.order("set", pace_s=0)
        await city.settled()
        verdict = city.verdict()
        assert len(city.victim.logged("sender.reassured")) == 1
    assert verdict.faults == []
    assert verdict.doubled_by[careful] <= 1
    assert set(city.judge.outbox()) == {"handed_over"}
