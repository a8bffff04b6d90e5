"""One timer for all waits of a connection."""

import asyncio

import pytest

from mailgate.smtp.patience import Patience


@pytest.fixture
def rung() -> list[str]:
    return []


async def test_a_wait_that_lasts_too_long_is_told_once(rung: list[str]) -> None:
    patience = Patience(lambda: rung.append("lost"))
    patience.begin(0.01)
    await asyncio.sleep(0.05)
    assert rung == ["lost"]


async def test_a_wait_that_is_over_is_not_told(rung: list[str]) -> None:
    patience = Patience(lambda: rung.append("lost"))
    patience.begin(0.01)
    patience.end()
    await asyncio.sleep(0.03)
    assert rung == []


async def test_a_later_wait_lasts_its_own_time(rung: list[str]) -> None:
    patience = Patience(lambda: rung.append("lost"))
    patience.begin(0.02)
    patience.end()
    patience.begin(0.08)
    await asyncio.sleep(0.05)
    assert rung == []
    await asyncio.sleep(0.06)
    assert rung == ["lost"]


async def test_a_shorter_wait_is_not_kept_by_a_longer_one_before_it(rung: list[str]) -> None:
    patience = Patience(lambda: rung.append("lost"))
    patience.begin(60)
    patience.begin(0.01)
    await asyncio.sleep(0.05)
    assert rung == ["lost"]


async def test_after_the_close_nothing_is_told_and_no_timer_stays(rung: list[str]) -> None:
    patience = Patience(lambda: rung.append("lost"))
    patience.begin(0.01)
    patience.close()
    await asyncio.sleep(0.03)
    assert rung == []
    assert patience._timer is None or patience._timer.cancelled()
