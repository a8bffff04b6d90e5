"""Logging in, guessing, looking, changing."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial

import pytest
from argon2 import extract_parameters

from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND
from mailgate.core.registration import Fault
from mailgate.journeys.keep import HELD, LoggedIn, LoginRefused, Me
from mailgate.journeys.passwords import NOBODYS, Passwords
from mailgate.journeys.shown import Client
from tests.journeys.house import (
    CHILDS_OWN,
    ELSEWHERE,
    FATHER,
    FORM,
    GRANDMOTHER,
    HERE,
    MOTHER,
    PASSWORD,
    House,
    Owed,
)

ID = FORM.login_id
NEW_PASSWORD = "ame-nochi-hare-7"
WRONG = LoginRefused()


async def login(house: House, password: str = PASSWORD, login_id: str = ID, client: Client = HERE) -> LoggedIn | LoginRefused:
    return await house.keep.login(login_id=login_id, password=password, client=client)


def a_network(number: int) -> Client:
    """A client somewhere else, another for each number."""
    return Client(network=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32")


# One answer, one cost


@pytest.mark.parametrize("login_id", [ID, "HANAKO2026", " ｈａｎａｋｏ２０２６ "])
async def test_an_id_and_its_password_log_in(house: House, login_id: str) -> None:
    await house.registered()
    done = await login(house, login_id=login_id)
    assert isinstance(done, LoggedIn)
    assert not done.set_password
    assert len(house.passwords.looked_at) == 1
    assert await house.count("login_failure") == 0


@pytest.mark.parametrize(
    "login_id, password",
    [
        (ID, "wrong-password"),
        ("nobody99", PASSWORD),
        (ID, ""),
        ("", ""),
        ("a@b", PASSWORD),
        (ID, "ACDEF-GHJKM"),
        ("nobody99", "ACDEF-GHJKM"),
    ],
)
async def test_whatever_is_wrong_is_one_answer_and_one_verification(house: House, login_id: str, password: str) -> None:
    await house.registered()
    assert await login(house, password, login_id) == WRONG
    assert len(house.passwords.looked_at) == 1
    assert await house.count("login_failure") == 3


async def test_for_nobodys_id_a_password_is_verified_at_the_same_cost(house: House) -> None:
    await login(house, login_id="nobody99")
    assert house.passwords.looked_at == [NOBODYS]
    real = Passwords()
    assert extract_parameters(NOBODYS) == extract_parameters(await real.hash(PASSWORD))
    assert not await real.matches(NOBODYS, PASSWORD)


async def test_an_unknown_id_and_a_wrong_password_run_the_same_statements(house: House) -> None:
    await house.registered()
    await house.one_time_code()
    for password in ("wrong-password", "AAAAA-CCCCC"):
        known, unknown = [
            await house.written_by(login(house, password, login_id, client=a_network(number)))
            for number, login_id in enumerate((ID, "nobody99"))
        ]
        assert known == unknown
        assert known.count("INSERT") == 3


# Guessing


async def test_waits_grow_and_end(house: House) -> None:
    await house.registered()
    waits = []
    for _ in range(5):
        assert await login(house, "wrong-password") == WRONG
    for _ in range(9):
        refused = await login(house, "wrong-password")
        assert isinstance(refused, LoginRefused)
        waits.append(refused.wait_s)
        house.clock.pass_(refused.wait_s * SECOND)
        assert await login(house, "wrong-password") == WRONG
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    house.clock.pass_(HOUR)
    assert isinstance(await login(house), LoggedIn)
    assert isinstance(await login(house), LoggedIn)


async def test_who_has_to_wait_is_refused_before_any_work(house: House) -> None:
    await house.registered()
    for login_id in (ID, "nobody99"):
        for _ in range(5):
            assert await login(house, "wrong-password", login_id) == WRONG
    looked_at = len(house.passwords.looked_at)
    assert await login(house) == LoginRefused(wait_s=60)
    assert await login(house, login_id="nobody99") == LoginRefused(wait_s=60)
    assert len(house.passwords.looked_at) == looked_at


async def test_ten_thousand_guesses_at_one_id_get_nowhere_and_lock_nobody_out(house: House) -> None:
    """The right password is the last of them: it is never looked at. The owner logs in from elsewhere, the neighbour from there."""
    await house.registered()
    await house.registered(FATHER, login_id="neighbour1", kana="べつの こ")
    guesses = [f"guess-{number}" for number in range(10_000)] + [PASSWORD]
    answers = Counter([type(await login(house, guess)).__name__ for guess in guesses])
    assert answers == {"LoginRefused": 10_001}
    assert len(house.passwords.looked_at) == 5
    assert isinstance(await login(house, client=ELSEWHERE), LoggedIn)
    assert isinstance(await login(house, login_id="neighbour1"), LoggedIn)


async def test_a_guesser_with_a_day_of_patience_tries_a_few_dozen(house: House) -> None:
    await house.registered()
    tried, end = 0, house.clock.now() + DAY
    while house.clock.now() < end:
        refused = await login(house, f"guess-{tried}")
        assert isinstance(refused, LoginRefused)
        tried += not refused.wait_s
        house.clock.pass_(max(1, refused.wait_s) * SECOND)
    assert len(house.passwords.looked_at) == tried < 40


async def test_guesses_at_once_are_no_more_than_guesses_one_after_the_other(house: House) -> None:
    await house.registered()
    await asyncio.gather(*(login(house, f"guess-{number}") for number in range(200)))
    assert len(house.passwords.looked_at) == 5


async def test_guesses_from_everywhere_leave_each_network_one_try_and_the_owners_browser_alone(house: House) -> None:
    await house.registered()
    known = await login(house)
    assert isinstance(known, LoggedIn)
    for number in range(300):
        assert await login(house, "wrong-password", client=a_network(number)) == WRONG
    # where nobody was before, one wrong try is the last for a minute, and a right one is right
    assert await login(house, "wrong-password", client=ELSEWHERE) == WRONG
    assert await login(house, client=ELSEWHERE) == LoginRefused(wait_s=60)
    assert isinstance(await login(house, client=a_network(999)), LoggedIn)
    browser = Client(network=a_network(5).network, browser=known.browser.encode())
    assert isinstance(await login(house, client=browser), LoggedIn)


async def test_a_network_that_tries_many_ids_gets_one_try_at_each(house: House) -> None:
    await house.registered()
    for number in range(40):
        await login(house, "wrong-password", f"family{number}")
    looked_at = len(house.passwords.looked_at)
    for _ in range(3):
        await login(house, "wrong-password", "family99")
    assert len(house.passwords.looked_at) == looked_at + 1
    assert isinstance(await login(house), LoggedIn)


async def test_a_known_browser_is_counted_apart_both_ways(house: House) -> None:
    await house.registered()
    known = await login(house)
    assert isinstance(known, LoggedIn)
    browser = Client(network=HERE.network, browser=known.browser.encode())
    for _ in range(5):
        assert await login(house, "wrong-password", client=browser) == WRONG
    assert await login(house, client=browser) == LoginRefused(wait_s=60)
    assert isinstance(await login(house), LoggedIn)  # the network was not counted for it
    stranger = Client(network=HERE.network, browser=b"made-up-by-somebody")
    assert isinstance(await login(house, client=stranger), LoggedIn)


async def test_a_browser_is_known_for_the_ids_it_logged_in_to(house: House) -> None:
    await house.registered()
    await house.registered(FATHER, login_id="neighbour1", kana="べつの こ")
    known = await login(house, login_id="neighbour1")
    assert isinstance(known, LoggedIn)
    browser = Client(network=HERE.network, browser=known.browser.encode())
    for _ in range(5):
        await login(house, "wrong-password", client=browser)
    assert await login(house) == LoginRefused(wait_s=60)  # counted as anybody's from that network
    both = await login(house, client=Client(network=ELSEWHERE.network, browser=known.browser.encode()))
    assert isinstance(both, LoggedIn)
    assert both.browser == known.browser  # one secret for the browser, whichever ID


async def test_a_right_password_forgives_the_wrong_ones_before_it(house: House) -> None:
    await house.registered()
    for _ in range(3):
        for _ in range(4):
            assert await login(house, "wrong-password") == WRONG
        assert isinstance(await login(house), LoggedIn)


async def test_failures_of_a_day_ago_are_forgotten(house: House) -> None:
    await house.registered()
    for _ in range(5):
        await login(house, "wrong-password")
    house.clock.pass_(DAY)
    for _ in range(5):
        assert await login(house, "wrong-password") == WRONG


async def test_a_clock_that_was_set_back_makes_nobody_wait_longer_than_the_wait(house: House) -> None:
    await house.registered()
    for _ in range(5):
        await login(house, "wrong-password")
    house.clock.pass_(-365 * DAY)
    assert await login(house) == LoginRefused(wait_s=60)


async def test_who_failed_from_where_is_not_in_the_store(house: House) -> None:
    await house.registered()
    await login(house, "wrong-password", "secret-login-name")
    text = "\n".join(str(tuple(row)) for row in await house.ask("SELECT * FROM login_failure"))
    assert "secret-login" not in text
    assert "192.0.2" not in text


# One-time codes


async def test_the_schools_code_logs_in_once_and_lets_a_password_be_set(house: House) -> None:
    await house.registered()
    code = await house.one_time_code()
    assert len(code.replace("-", "")) == 10
    done = await login(house, f" {code.lower().replace('-', ' ')} ")
    assert isinstance(done, LoggedIn)
    assert done.set_password
    assert await login(house, code) == WRONG
    assert (await house.me(done.session)).set_password
    assert await house.keep.change_password(done.session, old="", new=NEW_PASSWORD) is True
    assert not (await house.me(done.session)).set_password
    assert isinstance(await login(house, NEW_PASSWORD), LoggedIn)
    assert await house.keep.change_password(done.session, old="", new=PASSWORD) == WRONG


async def test_two_at_once_with_one_code_are_one(house: House) -> None:
    await house.registered()
    code = await house.one_time_code()
    done = await asyncio.gather(*(login(house, code, client=a_network(number)) for number in range(10)))
    assert sum(isinstance(each, LoggedIn) for each in done) == 1


async def test_a_code_ends_after_seven_days_and_with_the_next_one(house: House) -> None:
    await house.registered()
    first = await house.one_time_code()
    second = await house.one_time_code()
    assert await login(house, first) == WRONG
    house.clock.pass_(7 * DAY)
    assert await login(house, second) == WRONG


async def test_a_code_stands_ten_wrong_ones_from_anywhere_and_the_password_stands_more(house: House) -> None:
    await house.registered()
    code = await house.one_time_code()
    for number in range(9):
        await login(house, "AAAAA-CCCCC", client=a_network(number))
    await login(house, "no code at all", client=a_network(99))  # cannot have been meant for it
    assert (await house.ask("SELECT wrong_tries FROM one_time_code"))[0]["wrong_tries"] == 9
    await login(house, "AAAAA-DDDDD", client=a_network(100))
    assert await login(house, code, client=a_network(101)) == WRONG
    assert isinstance(await login(house, client=a_network(102)), LoggedIn)


async def test_of_a_code_only_a_keyed_digest_is_kept(house: House) -> None:
    await house.registered()
    code = await house.one_time_code()
    (row,) = await house.ask("SELECT code_index FROM one_time_code")
    assert row["code_index"] == house.means.digests.of("one-time code", 1, code.replace("-", ""))
    assert code not in str(tuple(row))


# What happens while argon2 works


async def test_a_password_that_was_right_when_it_was_typed_opens_nothing_once_it_is_another(house: House) -> None:
    await house.registered()
    session = await house.logged_in()

    async def change() -> None:
        await house.change("UPDATE registration SET password_hash = 'hash of another'")

    for attempt in (
        lambda: login(house),
        lambda: house.keep.change_password(session, old=PASSWORD, new=NEW_PASSWORD),
        lambda: house.keep.withdraw(session, what="all", password=PASSWORD),
    ):
        await house.change("UPDATE registration SET password_hash = ?", (f"hash of {PASSWORD}",))
        house.passwords.meanwhile = change
        assert await attempt() == WRONG
    assert await house.addresses() == [MOTHER]


async def test_a_session_that_ended_while_the_password_was_looked_at_does_nothing(house: House) -> None:
    await house.registered()
    for attempt in (
        lambda session: house.keep.change_password(session, old=PASSWORD, new=NEW_PASSWORD),
        lambda session: house.keep.withdraw(session, what="all", password=PASSWORD),
    ):
        session = await house.logged_in()
        house.passwords.meanwhile = partial(house.keep.logout, session)
        assert await attempt(session) is None
    assert isinstance(await login(house), LoggedIn)


async def test_a_registration_that_left_while_its_password_was_looked_at_is_gone(house: House) -> None:
    await house.registered()
    session = await house.logged_in()

    async def leave() -> None:
        assert await house.keep.withdraw(session, what="all", password=PASSWORD) == "withdrawn"

    house.passwords.meanwhile = leave
    assert await login(house) == WRONG
    assert await house.count("session") == 0


# Sessions


async def test_every_login_has_a_secret_of_its_own_and_ends_what_the_browser_had(house: House) -> None:
    await house.registered()
    first = await house.logged_in()
    second = await house.keep.login(login_id=ID, password=PASSWORD, client=HERE, previous=first)
    assert isinstance(second, LoggedIn)
    assert second.session != first
    assert await house.keep.me(first) is None
    assert (await house.me(second.session)).login_id == ID
    assert len(second.session) >= 43  # 256 bits
    assert second.session.encode() not in b"".join(row["id"] for row in await house.ask("SELECT id FROM session"))


async def test_a_session_is_over_two_hours_after_it_was_last_seen(house: House) -> None:
    await house.registered()
    session = await house.logged_in()
    for _ in range(5):
        house.clock.pass_(2 * HOUR - MINUTE)
        await house.me(session)
    house.clock.pass_(2 * HOUR)
    assert await house.keep.me(session) is None


async def test_looking_writes_at_most_once_a_minute(house: House) -> None:
    await house.registered()
    session = await house.logged_in()
    seen = []
    for _ in range(4):
        house.clock.pass_(30 * SECOND)
        await house.me(session)
        seen.append((await house.ask("SELECT seen_at FROM session"))[0]["seen_at"])
    assert len(set(seen)) == 3


async def test_logging_out_ends_this_session_alone(house: House) -> None:
    await house.registered()
    one, other = await house.logged_in(), await house.logged_in()
    await house.keep.logout(one)
    await house.keep.logout("never was one")
    assert await house.keep.me(one) is None
    assert await house.keep.me(other) is not None


async def test_without_a_session_nothing_is_done(house: House) -> None:
    await house.registered()
    for session in ("", "never was one"):
        assert await house.keep.me(session) is None
        assert await house.keep.change_child(session, name="x", kana="", grade="", class_name="") is None
        assert await house.keep.change_password(session, old=PASSWORD, new=NEW_PASSWORD) is None
        assert await house.keep.change_language(session, "en") is None
        assert await house.keep.rename_contact(session, "1", "x") is None
        assert await house.keep.remove_contact(session, "1") is None
        assert await house.keep.withdraw(session, what="all", password=PASSWORD) is None
    assert await house.addresses() == [MOTHER]


# What an owner sees


async def test_an_owner_sees_the_child_the_contacts_and_the_other_ids_at_the_same_addresses(house: House) -> None:
    await house.on_roster()
    await house.registered(MOTHER, label="母のスマホ")
    await house.added(FATHER)
    await house.registered(MOTHER, login_id="tarou2026", name="髙橋 太郎", kana="たかはし たろう", grade="", class_name="")
    await house.registered(GRANDMOTHER, login_id="neighbour1", kana="べつの こ")
    await house.change("UPDATE contact SET proven_at = 5 WHERE id = 1")
    me = await house.me(await house.logged_in())
    assert (me.login_id, me.pupil_name, me.kana, me.school_name) == (ID, "髙橋 花子", "たかはし はなこ", "北小学校")
    assert (me.grade, me.class_name, me.on_roster, me.language, me.set_password) == (3, "1", True, "ja", False)
    mother, father = me.contacts
    assert (mother.label, mother.provider, mother.kind, mother.proven_on, mother.is_this) == ("母のスマホ", "docomo", "guardian", 5, False)
    assert mother.last_delivery == house.clock.now()
    assert (father.label, father.provider, father.proven_on) == ("", "au", None)
    assert [each.login_id for each in me.others] == ["tarou2026"]
    assert MOTHER not in repr(me)


async def test_what_is_held_is_told_whole_with_its_days(house: House) -> None:
    await house.on_roster()
    await house.registered(MOTHER, label="母のスマホ")
    await house.added(FATHER)
    await house.change("UPDATE contact SET proven_at = 5 WHERE id = 1")
    await house.change("UPDATE address SET paused_at = 6, no_url = 1")
    await house.change("INSERT INTO receipt (outbox_id, received_at, way) VALUES (1, 7, 'press')")
    await house.one_time_code()
    await house.keep.forgot(ID, client=HERE)
    me = await house.me(await house.logged_in())
    assert {line.what for line in me.held} == set(HELD)
    by_what = {line.what: line for line in me.held}
    now = house.clock.now()
    assert (by_what["receipts"].value, by_what["receipts"].at) == ("1", 7)
    assert (by_what["mails"].value, by_what["mails"].at) == ("5", now)
    assert (by_what["on_roster"].value, by_what["class"].value, by_what["password"].value) == ("yes", "3年1組", "")
    assert by_what["invitation"].until == now + 2 * DAY
    assert by_what["session"].until == now + 2 * HOUR
    assert by_what["browser"].until == now + 400 * DAY
    assert by_what["change"].until == now + 3 * DAY
    assert by_what["code"].until == now + 7 * DAY
    assert by_what["password_link"].until == now + 2 * HOUR
    assert [line.value for line in me.held if line.what == "contact"] == ["母のスマホ", "au"]


async def test_a_registration_without_a_contact_can_still_be_looked_at(house: House) -> None:
    await house.registered()
    session = await house.logged_in()
    await house.change("DELETE FROM contact")
    me = await house.me(session)
    assert (me.contacts, me.others, me.language) == ((), (), "ja")


# Changing


async def child(house: House, session: str, **changes: str) -> Me | Mapping[str, Fault] | None:
    form = {"name": FORM.name, "kana": FORM.kana, "grade": FORM.grade, "class_name": FORM.class_name, **changes}
    return await house.keep.change_child(session, **form)


async def test_a_child_is_written_anew_as_its_owner_writes_it(house: House) -> None:
    await house.registered()
    session = await house.logged_in()
    me = await child(house, session, name="髙橋 𠮷子", kana="Takahashi Yoshiko", class_name="つばさ")
    assert isinstance(me, Me)
    assert (me.pupil_name, me.kana, me.class_name) == ("髙橋 𠮷子", "Takahashi Yoshiko", "つばさ")
    (pupil,) = await house.ask("SELECT name, kana_key, class_id FROM pupil")  # nobody else's: no second child is made
    assert tuple(pupil) == ("髙橋 𠮷子", "takahashiyoshiko", 2)


async def test_a_name_alone_is_written_anew_for_the_school_too(house: House) -> None:
    await house.registered()
    await child(house, await house.logged_in(), name="高橋 はな子")
    assert [row["name"] for row in await house.ask("SELECT name FROM pupil")] == ["高橋 はな子"]


async def test_all_faults_of_a_child_are_told_and_nothing_is_written(house: House) -> None:
    await house.registered()
    session = await house.logged_in()
    faults = await child(house, session, name="", kana="a@b", grade="9", class_name="x")
    assert faults == {"name": Fault.MISSING, "kana": Fault.AT_SIGN, "grade": Fault.UNKNOWN_GRADE}
    assert (await house.me(session)).pupil_name == FORM.name


async def test_a_spelling_that_was_put_right_finds_the_child_on_the_roster(house: House) -> None:
    await house.on_roster("高橋 花子")
    await house.registered(kana="たかはし はなよ")
    session = await house.logged_in()
    assert not (await house.me(session)).on_roster
    me = await child(house, session)
    assert isinstance(me, Me)
    assert me.on_roster
    (pupil,) = await house.ask("SELECT name FROM pupil")  # the other row went with its last registration
    assert pupil["name"] == "高橋 花子"  # the school's own spelling stays
    assert me.pupil_name == "髙橋 花子"


async def test_leaving_the_rosters_spelling_leaves_the_roster_alone(house: House) -> None:
    await house.on_roster()
    await house.registered()
    me = await child(house, await house.logged_in(), kana="たかはし はなよ")
    assert isinstance(me, Me)
    assert not me.on_roster
    assert [row["on_roster"] for row in await house.ask("SELECT on_roster FROM pupil ORDER BY id")] == [1, 0]


async def test_joining_another_child_takes_room_and_is_told(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(FATHER, login_id="chichi2026", kana="べつの こ")
    session = await house.logged_in("chichi2026")
    assert isinstance(await child(house, session), Me)
    assert await house.owed() == [Owed("joined", MOTHER, {"registration": 1})]
    assert await house.count("pupil") == 1


async def test_no_child_gets_a_fourth_address_by_being_written_anew(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    await house.registered(GRANDMOTHER, login_id="sobo2026", kana="べつの こ")
    await house.added("oba@docomo.ne.jp", login_id="sobo2026")
    session = await house.logged_in("sobo2026")
    assert await child(house, session) == {"name": Fault.ADDRESSES_FULL}
    assert await house.count("pupil") == 2


async def test_of_a_child_that_others_registered_too_one_owner_writes_his_own(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(FATHER, login_id="chichi2026")
    await child(house, await house.logged_in("chichi2026"), name="高橋 はな子")
    assert [row["name"] for row in await house.ask("SELECT name FROM pupil")] == [FORM.name]
    me = await child(house, await house.logged_in("chichi2026"), class_name="つばさ")
    assert isinstance(me, Me)
    assert await house.count("pupil") == 2


async def test_a_new_password_ends_all_other_sessions_and_ways_in(house: House) -> None:
    await house.registered()
    one, other = await house.logged_in(), await house.logged_in()
    code = await house.one_time_code()
    await house.keep.forgot(ID, client=HERE)
    assert await house.keep.change_password(one, old=PASSWORD, new=NEW_PASSWORD) is True
    assert await house.keep.me(one) is not None
    assert await house.keep.me(other) is None
    assert await login(house) == WRONG
    assert await login(house, code) == WRONG
    assert isinstance(await login(house, NEW_PASSWORD), LoggedIn)
    assert await house.ask("SELECT 1 FROM password_link WHERE used_at IS NULL") == []


@pytest.mark.parametrize("new, fault", [("short", Fault.TOO_SHORT), ("hanako2026", Fault.LIKE_LOGIN_ID), ("", Fault.MISSING)])
async def test_a_new_password_keeps_the_rules_of_the_first(house: House, new: str, fault: Fault) -> None:
    await house.registered()
    assert await house.keep.change_password(await house.logged_in(), old=PASSWORD, new=new) is fault


async def test_the_old_password_cannot_be_guessed_behind_the_login(house: House) -> None:
    await house.registered()
    session = await house.logged_in()
    for _ in range(3):
        assert await house.keep.change_password(session, old="wrong-password", new=NEW_PASSWORD) == WRONG
    for _ in range(2):
        assert await house.keep.withdraw(session, what="all", password="wrong-password") == WRONG
    assert await house.keep.change_password(session, old=PASSWORD, new=NEW_PASSWORD) == LoginRefused(wait_s=60)
    assert await house.keep.withdraw(session, what="all", password=PASSWORD) == LoginRefused(wait_s=60)
    assert isinstance(await login(house), LoggedIn)  # and it locks nobody out
    house.clock.pass_(MINUTE)
    assert await house.keep.change_password(session, old=PASSWORD, new=NEW_PASSWORD) is True
    assert await house.keep.change_password(session, old=NEW_PASSWORD, new=PASSWORD) is True


async def test_the_language_is_that_of_the_addresses(house: House) -> None:
    await house.registered()
    await house.added(FATHER)
    session = await house.logged_in()
    assert await house.keep.change_language(session, "fr") is False
    assert await house.keep.change_language(session, "easy") is True
    assert (await house.me(session)).language == "easy"
    assert [row["language"] for row in await house.ask("SELECT language FROM address")] == ["easy", "easy"]


async def test_a_contact_gets_another_label_and_nobody_elses_does(house: House) -> None:
    await house.registered()
    await house.registered(FATHER, login_id="neighbour1", kana="べつの こ")
    session = await house.logged_in()
    assert await house.keep.rename_contact(session, "1", " 祖母の家 ") is True
    assert await house.keep.rename_contact(session, "1", "a@b") is Fault.AT_SIGN
    for contact in ("2", "99", "", "x", "１", "1" * 40):
        assert await house.keep.rename_contact(session, contact, "x") is Fault.MISSING
    labels = [row["label"] for row in await house.ask("SELECT label FROM contact ORDER BY id")]
    assert labels == ["祖母の家", FORM.label]


async def test_a_contact_is_removed_and_everybody_is_told(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    await house.registered(GRANDMOTHER, login_id="sobo2026")
    session = await house.logged_in()
    assert await house.keep.remove_contact(session, await house.contact(session, MOTHER)) == "removed"
    assert await house.addresses() == [FATHER]
    assert await house.owed() == [
        Owed("address_changed", MOTHER, {"change": 2}),
        Owed("address_changed", FATHER, {"change": 2}),
        Owed("address_changed", GRANDMOTHER, {"change": 3}),
    ]


async def test_the_pupils_own_address_is_told_and_cannot_undo(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(CHILDS_OWN, kind="pupil")
    await house.join.add(await house.invited(FATHER), login_id=ID, password=PASSWORD, label="", kind="", client=HERE)
    letters = {each.to: each.params["change"] for each in await house.owed() if each.letter == "address_changed"}
    assert letters.keys() == {MOTHER, CHILDS_OWN}
    undoable = await house.ask("SELECT id FROM change WHERE old_address_id IS NOT NULL OR new_contact_id IS NOT NULL ORDER BY id DESC")
    assert letters[MOTHER] == undoable[0]["id"] != letters[CHILDS_OWN]


async def test_the_last_contact_and_the_only_guardians_stay(house: House) -> None:
    await house.registered(MOTHER)
    session = await house.logged_in()
    assert await house.keep.remove_contact(session, "1") == "last"
    await house.added(CHILDS_OWN, kind="pupil")
    assert await house.keep.remove_contact(session, "1") == "last"
    assert await house.keep.remove_contact(session, "2") == "removed"
    assert await house.keep.remove_contact(session, "2") == "unknown"
    assert await house.addresses() == [MOTHER]


async def test_pupils_own_contacts_of_an_id_without_a_guardian_may_go_but_for_the_last(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(CHILDS_OWN, login_id="hanako-x", kind="pupil")
    await house.added(FATHER, login_id="hanako-x", kind="pupil")
    session = await house.logged_in("hanako-x")
    assert await house.keep.remove_contact(session, await house.contact(session, FATHER)) == "removed"
    assert await house.keep.remove_contact(session, await house.contact(session, CHILDS_OWN)) == "last"
