"""Promise 1: killed at any instant, nothing that was accepted is lost, and what goes out twice is the same mail.

`make crash N=500` does the same for longer.
"""

import asyncio
from pathlib import Path

import pytest

from tests.crash.series import Series, dealt

KILLS = 20


@pytest.mark.timeout(200)
async def test_twenty_kills_at_any_instant_lose_nothing_and_double_no_more_than_the_window(template: Path, tmp_path: Path) -> None:
    instants = dealt(KILLS, seed="twenty")
    split = Series(tmp_path / "split", template, seed="split", one=False)
    one = Series(tmp_path / "one", template, seed="one", one=True)
    outcomes = await asyncio.gather(split.run(instants[0::2]), one.run(instants[1::2]))
    assert [outcome.faults for outcome in outcomes] == [[], []]
    deaths = [death for outcome in outcomes for death in outcome.deaths]
    assert len(deaths) >= KILLS
    assert sum(outcome.promises for outcome in outcomes) > 10 * KILLS
