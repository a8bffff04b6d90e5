"""Send: the page of a broadcast for its sender, and the PIN that is not in the mailbox (J3)."""

import asyncio
from collections import Counter
from typing import get_args

import pytest

from mailgate.core import broadcast
from mailgate.core.broadcast import Event, State
from mailgate.core.instants import DAY, MINUTE, SECOND, later
from mailgate.core.tokens import Purpose, sign
from mailgate.journeys.links import EXPIRED_LINK, INVALID_LINK, SEND_LINK_LIFETIME
from mailgate.journeys.send import Action, ActionRefused, BroadcastView, Send, pin_wait
from tests.builders import PIN, TEACHER, Town, a_key, some_keys, staff_mail
from tests.fakes import CheapPasswords

WRONG = "000000"


@pytest.fixture
async def city(town: Town) -> Town:
    """A school, a guardian, and somebody who may send."""
    await town.a_school()
    await town.a_contact("a@docomo.ne.jp")
    await town.enrolled()
    return town


async def seen(town: Town, token: str) -> BroadcastView:
    shown = await town.send.view(token)
    assert isinstance(shown, BroadcastView)
    return shown


async def refusal(town: Town, token: str, pin: str, action: Action = "confirm") -> ActionRefused:
    done = await town.send.act(token, action, pin=pin, seen="")
    assert isinstance(done, ActionRefused)
    return done


# What the page shows


async def test_the_page_shows_the_draft_in_words_and_numbers(city: Town) -> None:
    await city.a_contact("b@docomo.ne.jp", class_slug="1")
    await city.change("INSERT INTO pupil (school_id, grade, name, kana, kana_key, on_roster) VALUES (1, 3, '北 一', '', '', 1)")
    # All are on the roster: where a school has one, its grades and classes are whom it knows.
    await city.change("UPDATE pupil SET on_roster = 1")
    token = await city.drafted("kita-es.3", "staff", subject="【教育情報】遠足", text="持ち物")
    shown = await seen(city, token)
    assert (shown.state, shown.kind, shown.subject, shown.text) == ("drafted", "education", "遠足", "持ち物")
    assert shown.audience == ("北小学校 3年", "すべての教職員")
    assert (shown.recipients, shown.pupils, shown.unregistered) == (3, 3, 1)
    assert (shown.sender_name, shown.created_at) == ("山川 校長", city.clock.now())
    assert shown.lapses_at == later(city.clock.now(), DAY)
    assert shown.counts == {"confirmed": 0}


async def test_the_page_counts_what_becomes_of_the_copies(city: Town) -> None:
    token = await city.confirmed("kita-es")
    await city.expanded()
    assert (await seen(city, token)).counts == {"pending": 1, "confirmed": 0}
    (copy,) = await city.sent()
    await city.reach.confirm(city.receipt_token(copy.row.id))
    await city.expander.settle()
    shown = await seen(city, token)
    assert shown.counts == {"handed_over": 1, "confirmed": 1}
    assert (shown.state, shown.done_at, shown.recipients) == ("done", city.clock.now(), 1)


async def test_links_that_lead_nowhere_show_and_do_nothing(city: Town) -> None:
    token = await city.drafted("kita-es")
    (row,) = await city.ask("SELECT link_id, created_at FROM broadcast")
    ends = later(row["created_at"], SEND_LINK_LIFETIME)
    foreign = Town(city.path, city.db, some_keys(links=(a_key("foreign"),)), city.clock).links
    dead = [
        token[:-1], "", "x" * 3000, token.replace(token[3], "-" if token[3] != "-" else "_", 1),
        foreign.send_token(row["link_id"], row["created_at"]), city.links.send_token(bytes(15), row["created_at"]),
        sign(city.links._keys, Purpose.INVITATION, id=row["link_id"], expires_at=ends),
    ]  # fmt: skip
    for each in dead:
        assert await city.send.view(each) == INVALID_LINK
        assert await city.send.act(each, "confirm", pin=PIN, seen="") == INVALID_LINK
    assert await city.state() == "drafted"
    city.clock.set(ends)
    assert await city.send.view(token) == EXPIRED_LINK
    assert await city.send.act(token, "drop", pin="", seen="") == EXPIRED_LINK


# What the buttons do


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("action", get_args(Action))
async def test_a_button_does_what_the_table_says_in_every_state(city: Town, state: State, action: Action) -> None:
    token = await city.drafted("kita-es")
    confirmed_at = None if state in (State.DRAFTED, State.DROPPED, State.LAPSED) else city.clock.now()
    await city.change("UPDATE broadcast SET state = ?, confirmed_at = ?", (state, confirmed_at))
    expected = broadcast.move(state, Event(action))
    done = await city.act(token, action)
    if expected is None:
        assert done == "not_now"
        assert await city.state() == state
    else:
        assert isinstance(done, BroadcastView)
        assert await city.state() == done.state == expected
        (line,) = await city.ask("SELECT actor, event, subject FROM audit")
        assert tuple(line) == ("staff:1", f"broadcast.{action}", "broadcast:1")


async def test_confirming_freezes_when_and_until_when(city: Town) -> None:
    city.clock.pass_(MINUTE)
    token = await city.drafted("kita-es", subject="【緊急連絡】休業")
    city.clock.pass_(MINUTE)
    wakes = city.wakes
    shown = await city.act(token, "confirm")
    assert isinstance(shown, BroadcastView)
    assert (shown.confirmed_at, city.wakes) == (city.clock.now(), wakes + 1)
    (row,) = await city.ask("SELECT confirmed_at, expires_at FROM broadcast")
    assert tuple(row) == (city.clock.now(), later(city.clock.now(), broadcast.LIFETIME[broadcast.Kind.EMERGENCY]))


async def test_confirmed_twice_is_confirmed_once(city: Town) -> None:
    token = await city.confirmed("kita-es")
    (before,) = await city.ask("SELECT confirmed_at FROM broadcast")
    city.clock.pass_(MINUTE)
    assert await city.act(token, "confirm") == "not_now"
    assert [tuple(before)] == [tuple(row) for row in await city.ask("SELECT confirmed_at FROM broadcast")]


async def test_pressed_many_times_at_once_is_pressed_once(city: Town) -> None:
    token = await city.drafted("kita-es")
    done = await asyncio.gather(*(city.act(token, "confirm") for _ in range(10)))
    assert Counter(each if isinstance(each, str) else "done" for each in done) == {"done": 1, "not_now": 9}
    assert await city.count("audit") == 1


async def test_a_draft_is_dropped_without_a_pin(city: Town) -> None:
    token = await city.drafted("kita-es")
    assert isinstance(await city.act(token, "drop", pin=""), BroadcastView)
    assert await city.state() == "dropped"
    assert await city.act(token, "confirm") == "not_now"


async def test_a_draft_lapses_after_a_day_whether_or_not_anybody_wrote_it_down(city: Town) -> None:
    token = await city.drafted("kita-es")
    city.clock.pass_(DAY - SECOND)
    await city.expander.settle()
    assert await city.state() == "drafted"
    city.clock.pass_(SECOND)
    assert await city.act(token, "confirm") == "not_now"
    await city.expander.settle()
    assert await city.state() == "lapsed"
    assert (await seen(city, token)).state is State.LAPSED


# What was looked at is what is confirmed


async def test_confirming_what_was_widened_since_it_was_looked_at_is_refused(city: Town) -> None:
    token = await city.drafted("kita-es.3", message_id="<1@x>")
    looked_at = (await seen(city, token)).seen
    await city.drafted("kita-es.4", message_id="<1@x>")
    assert await city.act(token, "confirm", seen=looked_at) == "changed"
    assert await city.state() == "drafted"
    assert isinstance(await city.act(token, "confirm", seen=(await seen(city, token)).seen), BroadcastView)


class Dawdling(CheapPasswords):
    """Passwords that take their time: meanwhile the draft is widened."""

    def __init__(self, town: Town) -> None:
        super().__init__()
        self._town = town

    async def matches(self, encoded: str, secret: str) -> bool:
        await self._town.post(TEACHER, "haishin+kita-es.4", content=staff_mail(TEACHER, message_id="<1@x>"))
        return await super().matches(encoded, secret)


@pytest.mark.parametrize("compares", [True, False])
async def test_confirming_what_is_widened_at_that_very_moment_is_refused(city: Town, compares: bool) -> None:
    token = await city.drafted("kita-es.3", message_id="<1@x>")
    shown = await seen(city, token)
    footing = city.footing
    send = Send(db=city.db, links=city.links, texts=footing.texts, passwords=Dawdling(city), clock=city.clock, wake=city.wake)
    done = await send.act(token, "confirm", pin=PIN, seen=shown.seen if compares else "")
    assert done == ActionRefused(reason="changed")
    assert await city.state() == "drafted"


async def test_a_page_that_says_nothing_of_what_it_showed_is_not_compared(city: Town) -> None:
    token = await city.drafted("kita-es.3", message_id="<1@x>")
    await city.drafted("kita-es.4", message_id="<1@x>")
    assert isinstance(await city.act(token, "confirm", seen=""), BroadcastView)


# The PIN


@pytest.mark.parametrize("action, state", [("confirm", "drafted"), ("halt", "sending"), ("resume", "halted"), ("cancel", "sending")])
async def test_without_the_pin_nothing_is_done(city: Town, action: Action, state: str) -> None:
    token = await city.drafted("kita-es")
    await city.change("UPDATE broadcast SET state = ?", (state,))
    assert await city.act(token, action, pin="") == "pin_missing"
    assert await city.act(token, action, pin=WRONG) == "pin_wrong"
    assert await city.state() == state


@pytest.mark.parametrize("typed", ["１３５７９０", " 135790 ", "135-790", "135 790"])
async def test_a_pin_may_be_typed_as_a_phone_types_it(city: Town, typed: str) -> None:
    token = await city.drafted("kita-es")
    assert isinstance(await city.act(token, "confirm", pin=typed), BroadcastView)


@pytest.mark.parametrize("typed", [" ", "　", "-", "1" * 100_000])
async def test_what_cannot_be_a_pin_is_none(city: Town, typed: str) -> None:
    assert await city.act(await city.drafted("kita-es"), "confirm", pin=typed) == "pin_missing"


def test_waits_grow_and_never_become_endless() -> None:
    waits = [pin_wait(failures) // MINUTE for failures in range(12)]
    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 15, 15, 15]
    assert pin_wait(1_000_000) == 15 * MINUTE


async def test_after_five_wrong_pins_even_the_right_one_has_to_wait_and_then_it_works(city: Town) -> None:
    token = await city.drafted("kita-es")
    refused = [await refusal(city, token, WRONG) for _ in range(6)]
    assert [each.reason for each in refused] == ["pin_wrong"] * 5 + ["pin_wait"]
    assert [each.wait_s for each in refused] == [0, 0, 0, 0, 60, 60]
    city.clock.pass_(MINUTE - SECOND // 2)
    assert await refusal(city, token, PIN) == ActionRefused(reason="pin_wait", wait_s=1)
    city.clock.pass_(SECOND)
    assert await refusal(city, token, WRONG) == ActionRefused(reason="pin_wrong", wait_s=120)
    city.clock.pass_(2 * MINUTE)
    assert isinstance(await city.act(token, "confirm"), BroadcastView)
    (row,) = await city.ask("SELECT pin_failures FROM staff")
    assert row["pin_failures"] == 0


async def test_nobody_is_locked_out_for_good(city: Town) -> None:
    token = await city.drafted("kita-es")
    for _ in range(30):
        city.clock.pass_(15 * MINUTE)
        assert (await refusal(city, token, WRONG)).wait_s <= 900
    city.clock.pass_(15 * MINUTE)
    assert isinstance(await city.act(token, "confirm"), BroadcastView)


async def test_wrong_pins_count_for_the_person_on_all_their_broadcasts_and_for_nobody_else(city: Town) -> None:
    await city.enrolled("other@kita-es.example.jp")
    tokens = [await city.drafted("kita-es", message_id=f"<{number}@x>") for number in range(2)]
    for number in range(5):
        await refusal(city, tokens[number % 2], WRONG)
    assert (await refusal(city, tokens[0], PIN)).reason == (await refusal(city, tokens[1], PIN)).reason == "pin_wait"
    others = await city.drafted("kita-es", sender="other@kita-es.example.jp")
    assert isinstance(await city.act(others, "confirm"), BroadcastView)


async def test_a_right_pin_forgives_the_wrong_ones_before_it(city: Town) -> None:
    for number in range(3):
        token = await city.drafted("kita-es", message_id=f"<{number}@x>")
        for _ in range(4):
            assert await city.act(token, "confirm", pin=WRONG) == "pin_wrong"
        assert isinstance(await city.act(token, "confirm"), BroadcastView)


async def test_wrong_pins_tried_at_once_are_counted_one_by_one(city: Town) -> None:
    token = await city.drafted("kita-es")
    done = await asyncio.gather(*(refusal(city, token, f"{number:06}") for number in range(20)))
    assert Counter(each.reason for each in done) == {"pin_wrong": 5, "pin_wait": 15}
    (row,) = await city.ask("SELECT pin_failures FROM staff")
    assert row["pin_failures"] == 5


class RightLast(CheapPasswords):
    """Passwords that judge nobody before all have come, and the right one after all others."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._all_here = asyncio.Barrier(count)

    async def matches(self, encoded: str, secret: str) -> bool:
        await self._all_here.wait()
        if secret == PIN:
            await asyncio.sleep(0.2)
        return await super().matches(encoded, secret)


async def test_the_right_pin_behind_five_wrong_ones_does_nothing_although_all_come_at_once(city: Town) -> None:
    token = await city.drafted("kita-es")
    pins = [*[WRONG] * 7, PIN]
    texts, passwords = city.footing.texts, RightLast(len(pins))
    send = Send(db=city.db, links=city.links, texts=texts, passwords=passwords, clock=city.clock, wake=city.wake)
    done = await asyncio.gather(*(send.act(token, "confirm", pin=pin, seen="") for pin in pins))
    assert done[-1] == ActionRefused(reason="pin_wait", wait_s=60)
    assert await city.state() == "drafted"


async def test_wrong_pins_are_in_the_audit_log(city: Town) -> None:
    token = await city.drafted("kita-es")
    await refusal(city, token, WRONG)
    (line,) = await city.ask("SELECT actor, event, subject, detail FROM audit")
    assert tuple(line) == ("staff:1", "broadcast.pin_refused", "broadcast:1", "{}")


@pytest.mark.parametrize("action, state", [("confirm", "drafted"), ("halt", "sending"), ("cancel", "confirmed")])
async def test_staff_who_are_disabled_do_nothing_more(city: Town, action: Action, state: str) -> None:
    token = await city.drafted("kita-es")
    await city.change("UPDATE broadcast SET state = ?", (state,))
    await city.change("UPDATE staff SET disabled_at = 1")
    assert await city.act(token, action) == "not_now"
    assert await city.state() == state


@pytest.mark.parametrize("jump", [365 * DAY, -365 * DAY])
async def test_a_clock_that_was_wrong_for_a_while_makes_nobody_wait(city: Town, jump: int) -> None:
    token = await city.drafted("kita-es")
    before = city.clock.now()
    city.clock.set(later(before, jump))
    far = await city.drafted("kita-es")
    for _ in range(6):
        await refusal(city, far, WRONG)
    city.clock.set(later(before, MINUTE))
    assert isinstance(await city.act(token, "confirm"), BroadcastView)
