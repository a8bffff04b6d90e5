"""Reach: a guardian says "I have read this", by a reply or by a press (J4)."""

import asyncio

import pytest

from mailgate.core.broadcast import Kind
from mailgate.core.instants import HOUR, MINUTE
from mailgate.core.returnpath import Slot
from mailgate.journeys.reach import CopyView
from tests.builders import Sent, Town, a_key, some_keys

GUARDIAN = "a..b@docomo.ne.jp"


async def a_copy(town: Town, *, scope: str = "kita-es", subject: str = "【緊急情報】熊") -> Sent:
    """A copy that was handed over."""
    await town.a_school()
    await town.a_contact(GUARDIAN)
    await town.enrolled(scope=scope)
    await town.confirmed("kita-es", subject=subject, text="熊が出ました。\n外に出ないでください。")
    await town.expanded()
    (copy,) = await town.sent()
    return copy


@pytest.mark.parametrize("scope, sender_name", [("kita-es", "北小学校"), ("all", "市教育委員会")])
async def test_a_copys_page_shows_what_it_says_and_who_says_it(town: Town, scope: str, sender_name: str) -> None:
    copy = await a_copy(town, scope=scope)
    sent_at = town.clock.now()
    town.clock.pass_(HOUR)
    assert await town.reach.copy(copy.token("k")) == CopyView(
        kind=Kind.ALERT,
        subject="熊",
        text="熊が出ました。\n外に出ないでください。",
        sender_name=sender_name,
        sent_at=sent_at,
        confirmed_at=None,
        letter=False,
    )


async def test_a_press_confirms_once_and_proves_the_address(town: Town) -> None:
    token = (await a_copy(town)).token("k")
    pressed_at = town.clock.now()
    assert await town.reach.confirm(token)
    town.clock.pass_(MINUTE)
    assert await town.reach.confirm(token)
    shown = await town.reach.copy(token)
    assert shown is not None
    assert shown.confirmed_at == pressed_at
    (receipt,) = await town.ask("SELECT received_at, way FROM receipt")
    assert tuple(receipt) == (pressed_at, "press")
    (contact,) = await town.ask("SELECT proven_at FROM contact")
    assert contact["proven_at"] == pressed_at


async def test_pressed_many_times_at_once_it_is_confirmed_once(town: Town) -> None:
    token = (await a_copy(town)).token("k")
    assert all(await asyncio.gather(*(town.reach.confirm(token) for _ in range(10))))
    assert await town.count("receipt") == 1


async def test_a_reply_and_a_press_are_one_receipt(town: Town) -> None:
    copy = await a_copy(town)
    await town.post(GUARDIAN, f"k+{copy.token('k')}")
    assert await town.reach.confirm(copy.token("k"))
    (receipt,) = await town.ask("SELECT way FROM receipt")
    assert receipt["way"] == "reply"


async def test_looking_confirms_nothing(town: Town) -> None:
    token = (await a_copy(town)).token("k")
    for _ in range(3):
        await town.reach.copy(token)
    assert await town.count("receipt") == 0


async def test_a_completion_mails_receipt_proves_and_confirms_no_broadcast(town: Town) -> None:
    await town.a_school()
    await town.registered(GUARDIAN)
    (completion,) = await town.sent()
    shown = await town.reach.copy(completion.token("k"))
    assert shown is not None
    assert (shown.letter, shown.subject, shown.text, shown.sender_name) == (True, "", "", "")
    assert await town.reach.confirm(completion.token("k"))
    (contact,) = await town.ask("SELECT proven_at FROM contact")
    assert contact["proven_at"] == town.clock.now()
    shown = await town.reach.copy(completion.token("k"))
    assert shown is not None
    assert shown.confirmed_at == town.clock.now()


async def test_an_address_is_proven_by_the_first_receipt_and_keeps_its_day(town: Town) -> None:
    copy = await a_copy(town)
    await town.reach.confirm(copy.token("k"))
    first = town.clock.now()
    town.clock.pass_(HOUR)
    await town.confirmed("kita-es")
    await town.expanded()
    (second,) = await town.sent()
    await town.reach.confirm(second.token("k"))
    (contact,) = await town.ask("SELECT proven_at FROM contact")
    assert contact["proven_at"] == first


async def test_tokens_that_are_none_show_and_confirm_nothing(town: Town) -> None:
    copy = await a_copy(town)
    genuine = copy.token("k")
    foreign = Town(town.path, town.db, some_keys(links=(a_key("foreign"),)), town.clock)
    others = [town.links.tokens(copy.row.id)[slot] for slot in Slot if slot is not Slot.RECEIPT]
    made = [foreign.receipt_token(copy.row.id), town.receipt_token(999)]
    for token in ["", genuine[:-1], genuine + "a", "x" * 5000, "学校", *made, *others]:
        assert await town.reach.copy(token) is None
        assert not await town.reach.confirm(token)
    assert await town.count("receipt") == 0


async def test_a_link_in_capitals_is_the_same_link(town: Town) -> None:
    token = (await a_copy(town)).token("k").upper()
    assert await town.reach.copy(token) is not None
    assert await town.reach.confirm(token)


async def test_links_outlive_a_rotation_of_keys_with_their_texts(town: Town) -> None:
    token = (await a_copy(town)).token("k")
    rotated = Town(town.path, town.db, some_keys(links=(a_key("links"), a_key("new"))), town.clock)
    shown = await rotated.reach.copy(token)
    assert shown is not None
    assert shown.subject == "熊"
    assert await rotated.reach.confirm(token)


async def test_the_page_needs_no_key_of_addresses(town: Town) -> None:
    token = (await a_copy(town)).token("k")
    without = Town(town.path, town.db, some_keys(address=(a_key("other"),), lookup=(a_key("other"),)), town.clock)
    assert await without.reach.copy(token) is not None
    assert await without.reach.confirm(token)
