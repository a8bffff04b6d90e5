"""Leaving, and what is erased when: with the clock moved, and the file itself searched."""

import json

import pytest

from mailgate.core.addresses import parse_spec
from mailgate.core.instants import DAY, HOUR, MINUTE
from mailgate.journeys.join import Registered
from mailgate.journeys.keep import LoginRefused
from mailgate.store import staff
from tests.journeys.house import (
    CHILDS_OWN,
    FATHER,
    FORM,
    GRANDMOTHER,
    HERE,
    MOTHER,
    NEW_PHONE,
    PASSWORD,
    House,
    Owed,
)

ID = FORM.login_id


async def leave(house: House, what: str = "all", login_id: str = ID) -> str | LoginRefused | None:
    return await house.keep.withdraw(await house.logged_in(login_id), what=what, password=PASSWORD)


async def traces(house: House, address: str) -> list[bytes]:
    """What an address is in the store."""
    rows = await house.ask("SELECT sealed, lookup FROM address WHERE lookup = ?", (house.vault.lookup(parse_spec(address)),))
    return [octets for row in rows for octets in (row["sealed"], row["lookup"])]


def found_in_files(house: House, octets: list[bytes]) -> list[str]:
    """Which of the store's files hold any of these."""
    files = [house.path, house.path.with_name(house.path.name + "-wal")]
    assert octets
    return [file.name for file in files if file.exists() and any(each in file.read_bytes() for each in octets)]


async def known(house: House, address: str) -> bool:
    return await traces(house, address) != []


# Leaving


async def test_an_address_leaves_and_everybody_is_told(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    await house.registered(GRANDMOTHER, login_id="sobo2026")
    assert await leave(house, "2") == "withdrawn"
    assert await house.addresses() == [MOTHER]
    assert await house.owed() == [
        Owed("address_changed", MOTHER, {"change": 2}),
        Owed("address_changed", GRANDMOTHER, {"change": 3}),
        Owed("withdrawn", FATHER, {}),
    ]
    (news,) = await house.ask("SELECT kind, old_address_id, old_label FROM change WHERE id = 2")
    assert tuple(news) == ("removed", None, "")  # nothing to be undone, and nothing of the one who left


async def test_a_registration_leaves_with_all_that_belongs_to_it(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    await house.registered(GRANDMOTHER, login_id="sobo2026")
    await house.keep.forgot(ID, client=HERE)
    await house.one_time_code()
    session = await house.logged_in()
    await house.hand_over()
    assert await house.keep.withdraw(session, what="all", password=PASSWORD) == "withdrawn"
    assert await house.keep.me(session) is None
    assert await house.owed() == [
        Owed("address_changed", GRANDMOTHER, {"change": 2}),
        Owed("withdrawn", MOTHER, {}),
        Owed("withdrawn", FATHER, {}),
    ]
    for table in ("session", "known_browser", "one_time_code", "password_link"):
        assert await house.count(table) == 0
    assert [row["login_id"] for row in await house.ask("SELECT login_id FROM registration")] == ["sobo2026"]
    assert [row["registration_id"] for row in await house.ask("SELECT registration_id FROM invitation_use")] == [2]


async def test_the_child_goes_with_the_last_registration_unless_a_roster_has_it(house: House) -> None:
    await house.on_roster()
    await house.registered(MOTHER)
    await house.registered(MOTHER, login_id="tarou2026", name="髙橋 太郎", kana="たかはし たろう")
    await house.registered(FATHER, login_id="tarou-chichi", name="髙橋 太郎", kana="たかはし たろう")
    await leave(house)
    await leave(house, login_id="tarou2026")
    assert [row["on_roster"] for row in await house.ask("SELECT on_roster FROM pupil ORDER BY id")] == [1, 0]
    await leave(house, login_id="tarou-chichi")
    assert [row["on_roster"] for row in await house.ask("SELECT on_roster FROM pupil")] == [1]


async def test_the_last_contact_leaves_only_with_the_registration(house: House) -> None:
    await house.registered(MOTHER)
    assert await leave(house, "1") == "last"
    await house.added(CHILDS_OWN, kind="pupil")
    assert await leave(house, "1") == "last"
    assert await leave(house, "99") == "unknown"
    assert await leave(house, "nothing") == "unknown"
    assert await house.addresses() == [MOTHER, CHILDS_OWN]


async def test_another_familys_address_does_not_leave(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(FATHER, login_id="neighbour1", kana="べつの こ")
    await house.added(GRANDMOTHER, login_id="neighbour1")
    assert await leave(house, "3") == "unknown"
    assert await house.addresses("neighbour1") == [FATHER, GRANDMOTHER]


async def test_a_wrong_password_leaves_everything(house: House) -> None:
    await house.registered(MOTHER)
    session = await house.logged_in()
    assert await house.keep.withdraw(session, what="all", password="wrong-password") == LoginRefused()
    assert await house.addresses() == [MOTHER]


async def test_who_came_by_the_schools_code_leaves_without_the_lost_password(house: House) -> None:
    await house.registered(MOTHER)
    session = await house.logged_in(password=await house.one_time_code())
    assert await house.keep.withdraw(session, what="all", password="") == "withdrawn"
    assert await house.count("registration") == 0


async def test_who_left_comes_back_by_a_new_blank_mail_and_not_by_the_old_link(house: House) -> None:
    token = await house.invited(MOTHER)
    await house.registered(token=token)
    await leave(house)
    assert not isinstance(await house.register(token=token), Registered)
    assert isinstance(await house.register(MOTHER), Registered)
    assert await house.addresses() == [MOTHER]


async def test_no_id_of_what_left_is_given_to_another(house: House) -> None:
    """Letters name rows by their ids: an id that came again would show one family's link to another."""
    await house.registered(MOTHER)
    await house.replaced(NEW_PHONE)
    await house.keep.forgot(ID, client=HERE)
    before = {
        table: (await house.ask(f"SELECT MAX(id) AS last FROM {table}"))[0]["last"]
        for table in ("registration", "contact", "invitation", "change", "password_link")
    }
    await leave(house)
    house.clock.pass_(MINUTE)
    await house.registered(FATHER)
    await house.replaced(GRANDMOTHER)
    await house.keep.forgot(ID, client=HERE)
    for table, last in before.items():
        (row,) = await house.ask(f"SELECT MIN(id) AS first FROM {table}")
        assert row["first"] > last, table


# Erasing


async def test_who_left_is_erased_within_the_hour_from_the_file_itself(house: House) -> None:
    await house.registered(MOTHER, name="消える 名前", label="消えるラベル")
    await house.added(FATHER)
    await house.registered(GRANDMOTHER, login_id="neighbour1", kana="べつの こ")
    for address in (MOTHER, FATHER, GRANDMOTHER):
        await house.a_copy(address)
    await house.change("INSERT INTO receipt (outbox_id, received_at, way) SELECT MAX(id), 7, 'press' FROM outbox")
    gone = await traces(house, MOTHER) + await traces(house, FATHER) + ["消える 名前".encode(), "消えるラベル".encode()]
    stays = await traces(house, GRANDMOTHER)
    mails = await house.count("outbox")
    assert found_in_files(house, gone)
    await leave(house)
    await house.tidy()
    assert await known(house, MOTHER)  # the last letter is not out yet
    await house.hand_over()
    await house.tidy()
    assert not await known(house, MOTHER)
    assert not await known(house, FATHER)
    assert found_in_files(house, gone) == []
    assert found_in_files(house, stays) != []
    # the counts stay
    assert await house.count("outbox") == mails + 2
    assert await house.count("receipt") == 1
    assert await house.ask("PRAGMA foreign_key_check") == []


async def test_two_hundred_who_leave_leave_nothing_in_the_file(house: House) -> None:
    """Pages are rebuilt when many rows go: no copy of a row may be left in the room between them."""
    gone: list[bytes] = []
    for number in range(200):
        address = f"kazoku.{number}@docomo.ne.jp"
        await house.registered(address, login_id=f"kazoku{number:03}", kana=f"かぞく {number}")
        await house.a_copy(address)
        gone += await traces(house, address)
    for number in range(0, 200, 2):
        await leave(house, login_id=f"kazoku{number:03}")
    await house.hand_over()
    await house.tidy()
    for number in range(1, 200, 2):
        await leave(house, login_id=f"kazoku{number:03}")
    await house.hand_over()
    await house.tidy()
    assert await house.count("address") == 0
    assert found_in_files(house, gone) == []


async def test_the_log_is_emptied_in_a_later_round_if_somebody_reads_just_now(house: House) -> None:
    await house.registered(MOTHER)
    gone = await traces(house, MOTHER)
    await leave(house)
    await house.hand_over()
    async with house.db.read() as tx:
        await tx.fetch("SELECT 1 FROM address")
        await house.tidy()
        assert not await known(house, MOTHER)
    await house.tidy()
    assert found_in_files(house, gone) == []


async def test_the_log_is_emptied_every_hour_whatever_happened(house: House) -> None:
    log = house.path.with_name(house.path.name + "-wal")
    await house.tidy()
    assert log.stat().st_size > 0
    await house.tidy(HOUR)
    assert log.stat().st_size == 0


@pytest.mark.parametrize("state", ["pending", "leased"])
async def test_a_copy_that_was_owed_to_who_left_is_cancelled_or_awaited(house: House, state: str) -> None:
    await house.registered(MOTHER)
    async with house.db.write() as tx:
        member = await house.book.enter(tx, parse_spec("t@kita-es.example.jp"), now=house.clock.now())
        await staff.add_staff(
            tx, staff_id=1, address_id=member, name="山川", role="school", scope="all", pin_hash="x", submission_hash="x",
            totp_sealed=b"x", now=house.clock.now(),
        )  # fmt: skip
    await house.change(
        """
        INSERT INTO broadcast (id, link_id, state, kind, lane, staff_id, source, subject, text, cut, created_at)
        VALUES (1, x'01', 'sending', 'notice', 2, 1, x'00', x'00', x'00', x'00', 1)
        """
    )
    copy = await house.a_copy(MOTHER, state=state, broadcast_id=1)
    await leave(house)
    await house.change("UPDATE outbox SET state = 'handed_over' WHERE letter = 'withdrawn'")
    await house.tidy()
    assert await known(house, MOTHER) is (state == "leased")
    # the sender gives it back: the address is nobody's, so it goes nowhere
    await house.change("UPDATE outbox SET state = 'pending' WHERE state = 'leased'")
    await house.tidy()
    (row,) = await house.ask("SELECT state, address_id, broadcast_id FROM outbox WHERE id = ?", (copy,))
    assert tuple(row) == ("cancelled", None, 1)
    assert not await known(house, MOTHER)


async def test_an_address_that_somebody_else_needs_stays_whole(house: House) -> None:
    token = await house.invited(MOTHER)
    await house.registered(token=token)
    await house.registered(token=token, login_id="tarou2026", name="髙橋 太郎", kana="たかはし たろう")
    async with house.db.write() as tx:
        await staff.add_staff(
            tx, staff_id=1, address_id=await house.book.enter(tx, parse_spec(FATHER), now=house.clock.now()), name="父",
            role="school", scope="all", pin_hash="x", submission_hash="x", totp_sealed=b"x", now=house.clock.now(),
        )  # fmt: skip
    await house.added(FATHER)
    copy = await house.a_copy(MOTHER, state="pending")
    await leave(house)
    (row,) = await house.ask("SELECT state FROM outbox WHERE id = ?", (copy,))
    assert row["state"] == "pending"
    await house.hand_over()
    await house.tidy(3 * DAY)
    assert await house.addresses("tarou2026") == [MOTHER]
    assert await known(house, FATHER)  # a teacher's, too
    (row,) = await house.ask("SELECT COUNT(*) AS n FROM outbox WHERE address_id IS NULL")
    assert row["n"] == 0


async def test_a_replaced_address_is_kept_as_long_as_it_can_come_back(house: House) -> None:
    await house.registered(MOTHER)
    await house.replaced(NEW_PHONE)
    await house.hand_over()
    await house.change("DELETE FROM answer")  # the inbox forgets them after a day
    await house.tidy(71 * HOUR)
    assert await known(house, MOTHER)
    await house.tidy(HOUR)
    assert not await known(house, MOTHER)
    assert await known(house, NEW_PHONE)
    assert await house.count("change") == 0


async def test_a_replaced_address_goes_at_once_when_the_registration_leaves(house: House) -> None:
    await house.registered(MOTHER)
    await house.replaced(NEW_PHONE)
    await house.hand_over()
    gone = await traces(house, MOTHER)
    await leave(house)
    await house.hand_over()
    await house.tidy()
    assert not await known(house, MOTHER)
    assert found_in_files(house, gone) == []


async def test_an_address_that_left_by_itself_does_not_come_back_by_an_older_change(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    session = await house.logged_in()
    await house.keep.remove_contact(session, "2")
    await house.added(FATHER)
    (row,) = await house.ask("SELECT id FROM contact WHERE address_id = ?", (await house.address_id(FATHER),))
    assert await leave(house, str(row["id"])) == "withdrawn"
    await house.hand_over()
    await house.tidy()
    assert not await known(house, FATHER)


async def test_what_came_of_nothing_is_forgotten_a_day_after_its_link(house: House) -> None:
    await house.invited(MOTHER)
    gone = await traces(house, MOTHER)
    await house.change("DELETE FROM answer")  # the inbox forgets them after a day
    await house.tidy(2 * DAY - HOUR)
    assert await known(house, MOTHER)
    await house.tidy(HOUR)
    assert not await known(house, MOTHER)
    assert await house.count("invitation") == 0
    assert found_in_files(house, gone) == []


async def test_an_address_that_was_answered_today_is_remembered_for_the_limits(house: House) -> None:
    await house.invited(MOTHER)
    await house.change("DELETE FROM invitation")
    await house.tidy()
    assert await known(house, MOTHER)


async def test_an_invitation_that_brought_a_registration_goes_and_the_registration_stays(house: House) -> None:
    await house.registered(MOTHER)
    await house.tidy(2 * DAY)
    assert await house.count("invitation") == 0
    assert await house.count("invitation_use") == 0
    assert await house.addresses() == [MOTHER]


async def test_sessions_browsers_failures_and_ways_in_are_forgotten_in_their_time(house: House) -> None:
    await house.registered(MOTHER)
    await house.logged_in()
    await house.keep.login(login_id=ID, password="wrong-password", client=HERE)
    await house.one_time_code()
    await house.keep.forgot(ID, client=HERE)
    left = {}
    for passed in (MINUTE, 2 * HOUR, DAY, 7 * DAY, 400 * DAY):
        await house.tidy(passed)
        left[passed] = [await house.count(each) for each in ("session", "password_link", "login_failure", "one_time_code", "known_browser")]
    assert left == {
        MINUTE: [1, 1, 5, 1, 1],
        2 * HOUR: [0, 0, 5, 1, 1],
        DAY: [0, 0, 0, 1, 1],
        7 * DAY: [0, 0, 0, 0, 1],
        400 * DAY: [0, 0, 0, 0, 0],
    }


async def test_used_codes_and_links_are_forgotten_at_once(house: House) -> None:
    await house.registered(MOTHER)
    await house.keep.forgot(ID, client=HERE)
    session = await house.logged_in(password=await house.one_time_code())
    await house.keep.change_password(session, old="", new="ame-nochi-hare-7")
    await house.tidy()
    assert await house.count("one_time_code") == 0
    assert await house.count("password_link") == 0


async def test_who_has_proven_nothing_for_a_day_is_asked_once_more(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    await house.change("UPDATE contact SET proven_at = 5 WHERE id = 2")
    await house.tidy(DAY - HOUR)
    assert await house.owed() == []
    await house.tidy(HOUR)
    assert await house.owed() == [Owed("completion", MOTHER, {"registration": 1, "invitation": None})]
    await house.tidy(DAY)
    assert await house.owed() == []


async def test_who_registered_long_before_anybody_asked_is_left_alone(house: House) -> None:
    await house.registered(MOTHER)
    await house.tidy(7 * DAY)
    assert await house.owed() == []


async def test_the_audit_log_says_who_left_by_ids_only(house: House) -> None:
    await house.registered(MOTHER)
    await leave(house)
    rows = await house.ask("SELECT event, subject, detail FROM audit ORDER BY id")
    assert [(row["event"], row["subject"], json.loads(row["detail"])) for row in rows] == [
        ("registration.completed", "registration:1", {}),
        ("login.done", "registration:1", {"way": "password"}),
        ("registration.withdrawn", "registration:1", {}),
    ]
