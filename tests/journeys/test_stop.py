"""Stop: ordinary mail to an address is paused, and the address is told so with the way back (J4)."""

import asyncio

import pytest

from mailgate.core.returnpath import Slot
from tests.builders import Sent, Town, a_key, some_keys

GUARDIAN = "a..b@docomo.ne.jp"


@pytest.fixture
async def copy(town: Town) -> Sent:
    """An ordinary copy that was handed over."""
    await town.a_school()
    await town.a_contact(GUARDIAN)
    await town.enrolled()
    await town.confirmed("kita-es")
    await town.expanded()
    (sent,) = await town.sent()
    return sent


def stop_token(town: Town, sent: Sent) -> str:
    return town.links.tokens(sent.row.id)[Slot.STOP]


async def sent_to(town: Town, subject: str) -> list[str]:
    """To whom a broadcast to the school goes now."""
    await town.confirmed("kita-es", subject=subject)
    await town.expanded()
    return [mail.to for mail in await town.sent() if mail.letter == "broadcast"]


async def test_a_stop_pauses_ordinary_mail_and_no_alarm(town: Town, copy: Sent) -> None:
    token = stop_token(town, copy)
    assert token in copy.header("List-Unsubscribe")
    assert await town.stop.paused(token) is False
    assert await town.stop.pause(token)
    assert await town.stop.paused(token) is True
    assert await sent_to(town, "お知らせ") == []
    assert await sent_to(town, "【緊急連絡】休業") == [GUARDIAN]


async def test_the_address_is_told_once_with_the_way_back(town: Town, copy: Sent) -> None:
    token = stop_token(town, copy)
    assert all(await asyncio.gather(*(town.stop.pause(token) for _ in range(5))))
    (told,) = await town.sent()
    assert (told.letter, told.to, told.token("stop")) == ("stopped", GUARDIAN, token)


async def test_the_way_back_leads_back(town: Town, copy: Sent) -> None:
    token = stop_token(town, copy)
    await town.stop.pause(token)
    assert await town.stop.resume(token)
    assert await town.stop.paused(token) is False
    assert await town.stop.resume(token), "twice is once"
    assert await sent_to(town, "お知らせ") == [GUARDIAN]


async def test_a_stop_is_for_the_address_whichever_mail_it_came_from(town: Town, copy: Sent) -> None:
    await town.confirmed("kita-es")
    await town.expanded()
    (second,) = await town.sent()
    await town.stop.pause(stop_token(town, copy))
    assert await town.stop.paused(stop_token(town, second)) is True


async def test_tokens_that_are_none_do_nothing(town: Town, copy: Sent) -> None:
    genuine = stop_token(town, copy)
    foreign = Town(town.path, town.db, some_keys(links=(a_key("foreign"),)), town.clock)
    others = [town.links.tokens(copy.row.id)[slot] for slot in Slot if slot is not Slot.STOP]
    for token in ["", genuine[:-1], genuine + "a", "x" * 5000, "学校", stop_token(foreign, copy), *others]:
        assert await town.stop.paused(token) is None
        assert not await town.stop.pause(token)
        assert not await town.stop.resume(token)
    assert await town.ask("SELECT 1 FROM address WHERE paused_at IS NOT NULL") == []


async def test_a_token_of_a_mail_that_is_not_there_any_more_does_nothing(town: Town) -> None:
    token = town.links.tokens(999)[Slot.STOP]
    assert await town.stop.paused(token) is None
    assert not await town.stop.pause(token)
    assert not await town.stop.resume(token)
    assert await town.count("outbox") == 0


async def test_links_outlive_a_rotation_of_keys(town: Town, copy: Sent) -> None:
    rotated = Town(town.path, town.db, some_keys(links=(a_key("links"), a_key("new"))), town.clock)
    assert await rotated.stop.pause(stop_token(town, copy))
    assert await town.stop.paused(stop_token(town, copy)) is True
