"""A broadcast's life at every moment: before it is expanded, between two chunks, after; and what its copies say."""

import pytest

from mailgate.core.broadcast import Event
from mailgate.core.delivery import LIFETIME, Lane
from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND, later
from mailgate.journeys.life import Expander, move_broadcast
from mailgate.journeys.send import BroadcastView
from mailgate.store import broadcasts, outbox
from tests.builders import Town

GUARDIANS = [f"g{number}@docomo.ne.jp" for number in range(5)]
ALARM = "【緊急連絡】休業"


@pytest.fixture
async def city(town: Town) -> Town:
    """A school with five guardians, each with a child of another name, and a sender that writes two rows at a time."""
    await town.a_school()
    for number, guardian in enumerate(GUARDIANS):
        await town.a_contact(guardian, name=f"子 {number}")
    await town.enrolled()
    town.expander = Expander(db=town.db, clock=town.clock, chunk=2)
    return town


async def states(town: Town) -> dict[str, int]:
    rows = await town.ask("SELECT state, COUNT(*) AS n FROM outbox WHERE broadcast_id IS NOT NULL GROUP BY state")
    return {row["state"]: row["n"] for row in rows}


async def row_of(town: Town, broadcast_id: int = 1) -> dict[str, object]:
    async with town.db.read() as tx:
        row = await broadcasts.broadcast_by_id(tx, broadcast_id)
        assert row is not None
        return dict(row)


async def delivered_to(town: Town) -> list[str]:
    return sorted(mail.to for mail in await town.sent() if mail.letter == "broadcast")


# Expanding


async def test_confirming_alone_writes_no_delivery(city: Town) -> None:
    await city.confirmed("kita-es")
    assert await city.state() == "confirmed"
    assert await states(city) == {}


async def test_deliveries_are_written_in_chunks_and_the_number_is_final_with_the_last(city: Town) -> None:
    token = await city.confirmed("kita-es")
    seen = []
    while await city.expander.step():
        row = await row_of(city)
        shown = await city.send.view(token)
        assert isinstance(shown, BroadcastView)
        seen.append((row["state"], row["recipients"], row["expanded_at"] is not None, shown.recipients))
    assert seen == [("sending", 0, False, 5), ("sending", 0, False, 5), ("sending", 5, True, 5)]
    assert await city.addresses() == GUARDIANS


async def test_a_chunk_that_ends_with_the_audience_is_followed_by_an_empty_one(city: Town) -> None:
    await city.change("UPDATE contact SET created_at = ? WHERE id = 5", (later(city.clock.now(), -1),))
    await city.change("DELETE FROM contact WHERE id = 5")
    await city.confirmed("kita-es")
    assert [await city.expander.step() for _ in range(4)] == [True, True, True, False]
    row = await row_of(city)
    assert (row["recipients"], row["expanded_at"]) == (4, city.clock.now())


async def test_an_audience_of_nobody_is_done_at_once(city: Town) -> None:
    await city.confirmed("kita-es.6")
    await city.expanded()
    await city.expander.settle()
    row = await row_of(city)
    assert (row["state"], row["recipients"], row["done_at"]) == ("done", 0, city.clock.now())


@pytest.mark.parametrize("subject, lane", [(ALARM, Lane.ALARM), ("お知らせ", Lane.ORDINARY)])
async def test_every_copy_ends_with_the_lifetime_of_its_lane_from_the_confirmation_on(city: Town, subject: str, lane: Lane) -> None:
    await city.confirmed("kita-es", subject=subject)
    confirmed_at = city.clock.now()
    city.clock.pass_(MINUTE)
    await city.expanded()
    rows = await city.ask("SELECT DISTINCT lane, created_at, due_at, expires_at FROM outbox WHERE broadcast_id = 1")
    assert [tuple(row) for row in rows] == [(lane, confirmed_at, confirmed_at, later(confirmed_at, LIFETIME[lane]))]


async def test_an_alarm_is_expanded_before_what_was_confirmed_earlier(city: Town) -> None:
    await city.confirmed("kita-es")
    await city.expander.step()
    city.clock.pass_(SECOND)
    await city.confirmed("kita-es", subject=ALARM)
    while (await row_of(city, 2))["expanded_at"] is None:
        await city.expander.step()
    (written,) = await city.ask("SELECT COUNT(*) AS n FROM outbox WHERE broadcast_id = 1")
    assert written["n"] == 2


async def test_who_registers_after_the_confirmation_gets_no_copy(city: Town) -> None:
    await city.confirmed("kita-es")
    await city.expander.step()
    city.clock.pass_(SECOND)
    await city.a_contact("late@docomo.ne.jp")
    await city.expanded()
    assert await city.addresses() == GUARDIANS


# Copies


async def test_an_address_shared_by_siblings_gets_one_copy_that_names_both(city: Town) -> None:
    await city.a_contact("ie@docomo.ne.jp", name="苫小牧 花子", grade=2)
    await city.a_contact("ie@docomo.ne.jp", name="苫小牧 太郎", grade=6)
    await city.a_contact("ie@docomo.ne.jp", name="苫小牧 次郎", grade=1)
    await city.confirmed("kita-es.2", "kita-es.6")
    await city.expanded()
    (copy,) = await city.sent()
    assert copy.to == "ie@docomo.ne.jp"
    assert copy.text.index("苫小牧 太郎") < copy.text.index("苫小牧 花子")
    assert "苫小牧 次郎" not in copy.text


async def test_two_addresses_of_one_child_get_a_copy_each_and_nobody_sees_the_other(city: Town) -> None:
    await city.registered("haha@docomo.ne.jp", login_id="hanako-1")
    await city.registered("chichi@docomo.ne.jp", login_id="hanako-2")
    await city.sent()
    await city.confirmed("kita-es.3-1")
    await city.expanded()
    first, second = await city.sent()
    assert {first.to, second.to} == {"haha@docomo.ne.jp", "chichi@docomo.ne.jp"}
    assert second.to.encode() not in first.octets
    assert first.to.encode() not in second.octets


async def test_a_child_who_registered_meanwhile_is_not_named(city: Town) -> None:
    await city.confirmed("kita-es")
    await city.expanded()
    city.clock.pass_(SECOND)
    await city.a_contact(GUARDIANS[0], name="あとの子")
    assert not any("あとの子" in mail.text for mail in await city.sent())


@pytest.mark.parametrize("subject, count", [(ALARM, 5), ("お知らせ", 4)])
async def test_a_paused_address_gets_alarms_only(city: Town, subject: str, count: int) -> None:
    await city.change("UPDATE address SET paused_at = 1 WHERE id = (SELECT address_id FROM contact WHERE id = 1)")
    await city.confirmed("kita-es", subject=subject)
    await city.expanded()
    assert len(await delivered_to(city)) == count


async def test_an_address_paused_after_the_expansion_gets_the_copy_that_was_owed(city: Town) -> None:
    await city.confirmed("kita-es")
    await city.expanded()
    await city.change("UPDATE address SET paused_at = 1")
    assert await delivered_to(city) == GUARDIANS


async def test_staff_get_what_is_for_staff(city: Town) -> None:
    await city.enrolled("t@kita-es.example.jp", scope="kita-es.3")
    await city.enrolled("u@chuo-jhs.example.jp", scope="chuo-jhs")
    await city.confirmed("staff.kita-es")
    await city.expanded()
    assert await delivered_to(city) == ["t@kita-es.example.jp"]


# Halted, resumed, cancelled


async def test_halted_before_it_is_expanded_it_waits_and_resumed_it_reaches_all(city: Town) -> None:
    token = await city.confirmed("kita-es")
    await city.act(token, "halt")
    await city.expanded()
    assert (await city.state(), await states(city)) == ("halted", {})
    await city.act(token, "resume")
    await city.expanded()
    assert await delivered_to(city) == GUARDIANS


async def test_halted_between_two_chunks_it_hands_over_nothing_and_resumed_it_reaches_all_once(city: Town) -> None:
    token = await city.confirmed("kita-es")
    await city.expander.step()
    await city.act(token, "halt")
    assert not await city.expander.step()
    assert await delivered_to(city) == []
    city.clock.pass_(HOUR)
    assert await delivered_to(city) == []
    await city.act(token, "resume")
    await city.expanded()
    assert await delivered_to(city) == GUARDIANS
    assert (await row_of(city))["recipients"] == 5
    await city.expander.settle()
    assert await city.state() == "done"


async def test_halted_as_a_chunk_is_written_it_is_not_taken_for_written_to_its_end(city: Town) -> None:
    """The chunk comes out short for the halt, and by then it goes on again."""
    token = await city.confirmed("kita-es")
    await city.expander.step()
    run = city.db.run

    async def halted_meanwhile(sql: str, params: object = ()) -> int:
        await city.act(token, "halt")
        written = await run(sql, params)  # type: ignore[arg-type]  # as it comes
        await city.act(token, "resume")
        return written

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(city.db, "run", halted_meanwhile)
        assert await city.expander.step()
    assert (await row_of(city))["expanded_at"] is None
    await city.expanded()
    assert await delivered_to(city) == GUARDIANS


async def test_halted_after_it_was_expanded_it_hands_over_nothing_until_it_is_resumed(city: Town) -> None:
    token = await city.confirmed("kita-es")
    await city.expanded()
    await city.act(token, "halt")
    assert await delivered_to(city) == []
    out_of_the_way = await city.ask("SELECT COUNT(*) AS n FROM outbox WHERE broadcast_id = 1 AND due_at = expires_at")
    assert out_of_the_way[0]["n"] == 5, "a claim does not have to step over them"
    await city.expander.settle()
    assert await city.state() == "halted"
    await city.act(token, "resume")
    assert await delivered_to(city) == GUARDIANS


async def test_halted_again_and_again_it_reaches_all_once(city: Town) -> None:
    token = await city.confirmed("kita-es")
    reached = []
    for _ in range(4):
        await city.expander.step()
        await city.act(token, "halt")
        reached += await delivered_to(city)
        await city.act(token, "resume")
    assert reached == []
    assert await delivered_to(city) == GUARDIANS


async def test_resumed_after_its_lifetime_nothing_of_an_alarm_is_due_for_long(city: Town) -> None:
    token = await city.confirmed("kita-es", subject=ALARM)
    await city.expander.step()
    await city.act(token, "halt")
    city.clock.pass_(7 * HOUR)
    await city.act(token, "resume")
    await city.expanded()
    rows = await city.claimed()
    assert len(rows) == 5
    assert all(row.expires_at <= city.clock.now() for row in rows)  # which the sender marks as expired and never writes


async def test_what_was_in_flight_when_it_was_halted_ends_it(city: Town) -> None:
    token = await city.confirmed("kita-es")
    await city.expanded()
    rows = await city.claimed()
    await city.act(token, "halt")
    async with city.db.write() as tx:
        marks = [outbox.Mark(id=row.id, phase="eod", code=250, enhanced=None, text="ok") for row in rows]
        await outbox.mark_handed_over(tx, marks, now=city.clock.now())
    await city.expander.settle()
    assert await city.state() == "done"


async def test_cancelled_before_it_is_expanded_nothing_is_ever_written(city: Town) -> None:
    token = await city.confirmed("kita-es")
    await city.act(token, "cancel")
    await city.expanded()
    await city.expander.settle()
    assert (await city.state(), await states(city)) == ("cancelled", {})


async def test_cancelled_between_two_chunks_what_is_owed_is_cancelled_and_no_more_is_written(city: Town) -> None:
    token = await city.confirmed("kita-es")
    await city.expander.step()
    await city.act(token, "cancel")
    await city.expanded()
    assert (await city.state(), await states(city)) == ("cancelled", {"cancelled": 2})
    assert await delivered_to(city) == []


async def test_cancelled_after_some_were_handed_over_the_rest_is_not_sent(city: Town) -> None:
    token = await city.confirmed("kita-es")
    await city.expander.step()
    assert await delivered_to(city) == GUARDIANS[:2]
    await city.expanded()
    leased = (await city.claimed())[0]
    await city.act(token, "cancel")
    async with city.db.write() as tx:
        await outbox.release(tx, [leased.id], node="gate", now=city.clock.now())
    assert await delivered_to(city) == []
    counted = await states(city)
    assert (counted["handed_over"], counted["cancelled"]) == (2, 1)  # the other two are still on the wire
    assert counted["leased"] == 2


async def test_halted_and_cancelled_stays_cancelled(city: Town) -> None:
    token = await city.confirmed("kita-es")
    await city.expanded()
    await city.act(token, "halt")
    await city.act(token, "cancel")
    assert (await city.state(), await states(city)) == ("cancelled", {"cancelled": 5})
    assert await city.act(token, "resume") == "not_now"


# Ends


async def test_it_is_done_when_nothing_is_owed_and_not_before(city: Town) -> None:
    await city.confirmed("kita-es")
    await city.expander.step()
    await city.sent()
    await city.expander.settle()
    assert await city.state() == "sending", "its number is not final yet"
    await city.expanded()
    await city.expander.settle()
    assert await city.state() == "sending", "some are owed"
    city.clock.pass_(MINUTE)
    await city.sent()
    await city.expander.settle()
    row = await row_of(city)
    assert (row["state"], row["done_at"], row["recipients"]) == ("done", city.clock.now(), 5)


async def test_old_drafts_lapse_and_nothing_else_does(city: Town) -> None:
    old = await city.drafted("kita-es")
    await city.confirmed("kita-es", message_id="<2@x>")
    city.clock.pass_(DAY)
    fresh = await city.drafted("kita-es")
    await city.expander.settle()
    assert [await city.state(number) for number in (1, 2, 3)] == ["lapsed", "confirmed", "drafted"]
    assert await city.act(old, "confirm") == "not_now"
    assert isinstance(await city.act(fresh, "confirm"), BroadcastView)


async def test_every_move_is_in_the_audit_log(city: Town) -> None:
    token = await city.confirmed("kita-es")
    await city.expanded()
    await city.act(token, "halt")
    await city.act(token, "resume")
    await city.sent()
    await city.expander.settle()
    lines = await city.ask("SELECT actor, event, subject FROM audit ORDER BY id")
    assert [(line["actor"], line["event"]) for line in lines] == [
        ("staff:1", "broadcast.confirm"), ("gate", "broadcast.start"), ("staff:1", "broadcast.halt"), ("staff:1", "broadcast.resume"),
        ("gate", "broadcast.finish"),
    ]  # fmt: skip
    assert {line["subject"] for line in lines} == {"broadcast:1"}


async def test_of_two_who_move_it_at_once_one_does(city: Town) -> None:
    await city.confirmed("kita-es")
    async with city.db.write() as tx:
        stale = await broadcasts.broadcast_by_id(tx, 1)
        assert stale is not None
        assert await move_broadcast(tx, stale, Event.CANCEL, actor="operator", now=city.clock.now())
        assert not await move_broadcast(tx, stale, Event.HALT, actor="operator", now=city.clock.now())
    assert await city.state() == "cancelled"


@pytest.mark.parametrize("jump", [365 * DAY, -365 * DAY])
async def test_a_clock_that_jumps_between_two_chunks_leaves_nobody_out(city: Town, jump: int) -> None:
    await city.confirmed("kita-es")
    await city.expander.step()
    city.clock.set(later(city.clock.now(), jump))
    await city.expanded()
    assert await city.addresses() == GUARDIANS
