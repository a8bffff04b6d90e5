"""Adding and replacing addresses, second guardians, siblings, and the limit that holds over all ways in."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mailgate.core.instants import DAY, MINUTE
from mailgate.core.registration import AddressRule, Fault
from mailgate.journeys.join import AddRefused, ChooseContact, NotRegistered, Registered
from mailgate.journeys.links import BURNT_LINK, EXPIRED_LINK, INVALID_LINK, LinkDead
from mailgate.journeys.shown import Client
from tests.journeys.house import (
    CHILDS_OWN,
    ELSEWHERE,
    FATHER,
    FORM,
    GRANDMOTHER,
    HERE,
    MOTHER,
    NEW_PHONE,
    PASSWORD,
    House,
    Owed,
    house_at,
)

ID = FORM.login_id
UNCLE = "oji@rakuten.jp"


async def add(house: House, address: str, **changes: object) -> Registered | AddRefused | LinkDead:
    """The form "add to my ID", by a fresh link."""
    form = {"login_id": ID, "password": PASSWORD, "label": "", "kind": "guardian", "client": HERE, **changes}
    return await house.join.add(await house.invited(address), **form)  # type: ignore[arg-type]  # the form's own fields


# Registering


async def test_a_second_guardian_registers_the_same_child_and_the_first_one_is_told(house: House) -> None:
    await house.registered(MOTHER)
    done = await house.register(FATHER, login_id="chichi2026", label="父")
    assert isinstance(done, Registered)
    assert await house.count("pupil") == 1
    assert await house.owed() == [
        Owed("completion", FATHER, {"registration": 2, "invitation": 2}),
        Owed("joined", MOTHER, {"registration": 1}),  # the reader's own: another's ID is not named
    ]


async def test_a_sibling_is_another_child_on_the_same_link_and_nobody_is_told(house: House) -> None:
    token = await house.invited(MOTHER)
    await house.registered(token=token)
    done = await house.register(token=token, login_id="tarou2026", name="髙橋 太郎", kana="たかはし たろう", grade="", class_name="")
    assert isinstance(done, Registered)
    assert await house.owed() == [Owed("completion", MOTHER, {"registration": 2, "invitation": 1})]
    landing = await house.join.landing(token)
    assert not isinstance(landing, LinkDead)
    assert [each.login_id for each in landing.registered] == ["tarou2026", ID]
    assert landing.registrations_here == (ID, "tarou2026")


@pytest.mark.parametrize("kana", ["ﾀｶﾊｼ　ﾊﾅｺ", "タカハシハナコ", "たかはし　は な こ"])
async def test_one_child_is_known_by_kana_and_never_by_the_name(house: House, kana: str) -> None:
    await house.registered(MOTHER, name="髙橋 花子")
    await house.registered(FATHER, login_id="chichi2026", name="高橋 𠮷子", kana=kana)
    assert await house.count("pupil") == 1
    assert [row["name"] for row in await house.ask("SELECT name FROM registration ORDER BY id")] == ["髙橋 花子", "高橋 𠮷子"]


@pytest.mark.parametrize(
    "changes", [{"grade": "2", "class_name": ""}, {"class_name": "つばさ"}, {"class_name": ""}, {"kana": "たかはし はなよ"}]
)
async def test_another_grade_class_or_kana_is_another_child(house: House, changes: dict[str, str]) -> None:
    await house.registered(MOTHER)
    await house.registered(FATHER, login_id="chichi2026", **changes)
    assert await house.count("pupil") == 2


async def test_the_same_form_again_finds_what_it_made_although_the_roster_writes_the_name_otherwise(house: House) -> None:
    await house.on_roster("高橋 花子")
    token = await house.invited(MOTHER)
    first = await house.register(token=token)
    assert isinstance(first, Registered)
    assert await house.register(token=token) == first
    assert first.pupil_name == "髙橋 花子"
    assert await house.count("registration") == 1
    assert len(await house.owed()) == 1


@pytest.mark.parametrize(
    "rostered, kana, known",
    [(True, "たかはし はなこ", True), (True, "たかはし はなよ", False), (False, "たかはし はなよ", True)],
)
async def test_a_child_that_a_roster_does_not_know_is_registered_and_told_so(
    house: House, rostered: bool, kana: str, known: bool
) -> None:
    if rostered:
        await house.on_roster()
    done = await house.registered(MOTHER, kana=kana)
    assert done.on_roster is known


async def test_the_language_of_the_address_is_the_landings(house: House) -> None:
    token = await house.invited(MOTHER)
    await house.change("UPDATE address SET language = 'easy'")
    landing = await house.join.landing(token)
    assert not isinstance(landing, LinkDead)
    assert (landing.language, landing.registrations_here) == ("easy", ())


# Adding


async def test_an_address_is_added_and_everybody_is_told_what_is_theirs(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(GRANDMOTHER, login_id="sobo2026")
    done = await add(house, FATHER, label=" 父 ", kind="guardian")
    assert isinstance(done, Registered)
    assert done.login_id == ID
    assert await house.addresses() == [MOTHER, FATHER]
    assert await house.owed() == [
        Owed("completion", FATHER, {"registration": 1, "invitation": 3}),
        Owed("address_changed", MOTHER, {"change": 1}),
        Owed("joined", GRANDMOTHER, {"registration": 2}),
    ]
    (change,) = await house.ask("SELECT kind, registration_id, old_address_id, new_contact_id FROM change")
    assert tuple(change) == ("added", 1, None, 3)
    (contact,) = await house.ask("SELECT label, kind, proven_at FROM contact WHERE id = 3")
    assert tuple(contact) == ("父", "guardian", None)
    assert house.wakes == 3
    assert [row["event"] for row in await house.ask("SELECT event FROM audit ORDER BY id")] == [
        "registration.completed",
        "registration.completed",
        "contact.added",
    ]


async def test_the_same_addition_again_finds_what_it_did(house: House) -> None:
    await house.registered(MOTHER)
    token = await house.invited(FATHER)
    done = [
        await house.join.add(token, login_id=ID, password=PASSWORD, label="父", kind="guardian", client=HERE) for _ in range(2)
    ]
    assert done[0] == done[1]
    assert await house.addresses() == [MOTHER, FATHER]
    assert [each.letter for each in await house.owed()] == ["completion", "address_changed"]


async def test_an_address_that_is_there_already_is_said_to_be(house: House) -> None:
    await house.registered(MOTHER)
    assert await add(house, MOTHER) == AddRefused(reason="already")
    assert await house.owed() == []


@pytest.mark.parametrize("changes", [{"password": "wrong-password"}, {"login_id": "nobody99"}, {"password": ""}, {"login_id": ""}])
async def test_a_wrong_password_and_an_unknown_id_are_one_refusal_and_one_verification(
    house: House, changes: dict[str, object]
) -> None:
    await house.registered(MOTHER)
    assert await add(house, FATHER, **changes) == AddRefused(reason="login")
    assert len(house.passwords.looked_at) == 1
    assert await house.addresses() == [MOTHER]


@pytest.mark.parametrize(
    "changes, faults",
    [
        ({"label": "a@b"}, {"label": Fault.AT_SIGN}),
        ({"label": "母" * 21, "kind": "teacher"}, {"label": Fault.TOO_LONG, "kind": Fault.UNKNOWN_KIND}),
    ],
)
async def test_label_and_kind_are_judged_before_the_password(
    house: House, changes: dict[str, object], faults: dict[str, Fault]
) -> None:
    await house.registered(MOTHER)
    assert await add(house, FATHER, **changes) == AddRefused(reason="fields", faults=faults)
    assert house.passwords.looked_at == []


async def test_a_pupils_own_address_comes_after_a_guardians(house: House) -> None:
    assert await house.register(CHILDS_OWN, kind="pupil") == NotRegistered(faults={"kind": Fault.GUARDIAN_FIRST})
    await house.registered(MOTHER)
    assert isinstance(await add(house, CHILDS_OWN, kind="pupil", label="花子"), Registered)
    # by the child's own ID too: the guardian of the same child counts, under whatever ID
    assert isinstance(await house.register(GRANDMOTHER, login_id="hanako-x", kind="pupil"), Registered)


async def test_a_pupils_own_address_is_not_added_to_an_id_that_has_pupils_own_ones_only(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(CHILDS_OWN, login_id="hanako-x", kind="pupil")
    await house.change("DELETE FROM contact WHERE registration_id = 1")
    assert await add(house, FATHER, login_id="hanako-x", kind="pupil") == AddRefused(reason="guardian_first")


async def test_three_addresses_are_the_most_whichever_way_they_come(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(FATHER, login_id="chichi2026")
    await house.added(GRANDMOTHER)
    assert await add(house, UNCLE) == AddRefused(reason="full")
    assert await house.register(UNCLE, login_id="oji2026") == NotRegistered(faults={"name": Fault.ADDRESSES_FULL})
    # an address that the child has already takes no other place
    assert isinstance(await add(house, FATHER), Registered)
    assert await house.addresses() == [MOTHER, GRANDMOTHER, FATHER]


async def test_the_city_may_set_the_number_and_leave_the_pupils_own_out_of_it(tmp_path: Path) -> None:
    async for house in house_at(tmp_path / "mailgate.db", rule=AddressRule(addresses=1, pupils_count=False)):
        await house.open_school()
        await house.registered(MOTHER)
        await house.added(CHILDS_OWN, kind="pupil")
        assert await add(house, FATHER) == AddRefused(reason="full")


async def test_the_schools_code_stands_in_for_the_password_once(house: House) -> None:
    await house.registered(MOTHER)
    code = await house.one_time_code()
    token = await house.invited(FATHER)
    form = {"login_id": ID, "password": code.lower(), "label": "", "kind": "guardian", "client": HERE}
    first = await house.join.add(token, **form)  # type: ignore[arg-type]  # the form's own fields
    assert isinstance(first, Registered)
    assert await house.join.add(token, **form) == first  # type: ignore[arg-type]  # a second press of the button
    assert await add(house, GRANDMOTHER, password=code) == AddRefused(reason="login")


# Replacing


async def test_the_only_address_is_replaced_at_once_and_both_are_told(house: House) -> None:
    await house.registered(MOTHER, label="母のスマホ")
    await house.registered(FATHER, login_id="chichi2026")
    done = await house.replaced(NEW_PHONE)
    assert done.login_id == ID
    assert await house.addresses() == [NEW_PHONE]
    (contact,) = await house.ask("SELECT id, label, kind, proven_at FROM contact WHERE registration_id = 1")
    assert tuple(contact) == (3, "母のスマホ", "guardian", None)
    assert await house.owed() == [
        Owed("completion", NEW_PHONE, {"registration": 1, "invitation": 3}),
        Owed("address_changed", MOTHER, {"change": 1}),
        Owed("address_changed", FATHER, {"change": 2}),
    ]
    undoable = await house.ask("SELECT registration_id, old_address_id IS NOT NULL AS old, new_contact_id FROM change")
    assert [tuple(row) for row in undoable] == [(1, 1, 3), (2, 0, None)]  # the father's is news of his own registration


async def test_replacing_keeps_the_count_at_three(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(FATHER, login_id="chichi2026")
    await house.registered(GRANDMOTHER, login_id="sobo2026")
    assert isinstance(await house.replaced(NEW_PHONE), Registered)
    assert isinstance(await house.replaced(UNCLE, login_id="sobo2026"), Registered)
    assert await house.count("contact") == 3


async def test_replacing_an_address_that_stays_under_another_id_makes_no_fourth(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(MOTHER, login_id="haha-mou-hitotsu")
    await house.registered(FATHER, login_id="chichi2026")
    await house.registered(GRANDMOTHER, login_id="sobo2026")
    token = await house.invited(NEW_PHONE)
    assert await house.join.replace(token, login_id=ID, password=PASSWORD, client=HERE) == AddRefused(reason="full")
    assert await house.addresses() == [MOTHER]


async def test_of_several_addresses_one_is_chosen_without_the_password_coming_again(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER, label="父")
    token = await house.invited(NEW_PHONE)
    choice = await house.join.replace(token, login_id=ID, password=PASSWORD, client=HERE)
    assert isinstance(choice, ChooseContact)
    assert [(line.label, line.provider, line.is_this) for line in choice.contacts] == [
        ("母のスマホ", "docomo", False),
        ("父", "au", False),
    ]
    assert await house.owed() == []
    father = choice.contacts[1].id
    again = await house.join.replace(token, login_id=ID, password="", contact="999", proof=choice.proof, client=HERE)
    assert isinstance(again, ChooseContact)
    done = await house.join.replace(token, login_id=ID, password="", contact=father, proof=choice.proof, client=HERE)
    assert isinstance(done, Registered)
    assert await house.addresses() == [MOTHER, NEW_PHONE]
    assert [(each.letter, each.to) for each in await house.owed()] == [
        ("completion", NEW_PHONE),
        ("address_changed", MOTHER),
        ("address_changed", FATHER),
    ]
    # a second press of the button
    assert await house.join.replace(token, login_id=ID, password="", contact=father, proof=choice.proof, client=HERE) == done
    assert await house.owed() == []


async def test_a_contact_that_is_gone_is_not_replaced_by_guessing_another(house: House) -> None:
    await house.registered(MOTHER)
    token = await house.invited(NEW_PHONE)
    done = await house.join.replace(token, login_id=ID, password=PASSWORD, contact="999", client=HERE)
    assert isinstance(done, ChooseContact)
    assert await house.addresses() == [MOTHER]


async def test_a_proof_is_good_for_its_invitation_its_id_its_password_and_a_quarter_of_an_hour(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    await house.registered(GRANDMOTHER, login_id="sobo2026", kana="べつ")
    token, other = await house.invited(NEW_PHONE), await house.invited(UNCLE)
    choice = await house.join.replace(token, login_id=ID, password=PASSWORD, client=HERE)
    assert isinstance(choice, ChooseContact)

    async def prove(token: str, login_id: str = ID, proof: str = choice.proof) -> object:
        contact = choice.contacts[0].id
        return await house.join.replace(token, login_id=login_id, password="", contact=contact, proof=proof, client=HERE)

    looked_at = len(house.passwords.looked_at)
    refused = AddRefused(reason="login")
    assert await prove(other) == refused
    assert await prove(token, "sobo2026") == refused
    assert await prove(token, "nobody99") == refused
    assert await prove(token, proof=choice.proof[:-3] + "AAA") == refused
    assert await prove(token, proof=token) == refused  # a token of another purpose
    await house.change("UPDATE registration SET password_hash = 'hash of another' WHERE id = 1")
    assert await prove(token) == refused
    await house.change("UPDATE registration SET password_hash = ? WHERE id = 1", (f"hash of {PASSWORD}",))
    house.clock.pass_(15 * MINUTE)
    assert await prove(token) == refused
    assert len(house.passwords.looked_at) == looked_at
    assert await house.count("login_failure") == 0  # none of it is a guess at a password
    assert await house.addresses() == [MOTHER, FATHER]


async def test_the_schools_code_is_used_up_by_the_choice_and_not_before(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    code, token = await house.one_time_code(), await house.invited(NEW_PHONE)
    assert isinstance(await house.join.replace(token, login_id=ID, password=code, client=HERE), ChooseContact)
    choice = await house.join.replace(token, login_id=ID, password=code, client=HERE)
    assert isinstance(choice, ChooseContact)
    contact = choice.contacts[0].id
    done = await house.join.replace(token, login_id=ID, password="", contact=contact, proof=choice.proof, client=HERE)
    assert isinstance(done, Registered)
    assert (await house.ask("SELECT used_at FROM one_time_code"))[0]["used_at"] == house.clock.now()
    other = await house.invited(UNCLE)
    assert await house.join.replace(other, login_id=ID, password=code, client=HERE) == AddRefused(reason="login")


async def test_a_proof_of_a_code_that_was_used_meanwhile_is_none(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    code, token = await house.one_time_code(), await house.invited(NEW_PHONE)
    choice = await house.join.replace(token, login_id=ID, password=code, client=HERE)
    assert isinstance(choice, ChooseContact)
    await house.logged_in(password=code)
    contact = choice.contacts[0].id
    done = await house.join.replace(token, login_id=ID, password="", contact=contact, proof=choice.proof, client=HERE)
    assert done == AddRefused(reason="login")
    assert await house.addresses() == [MOTHER, FATHER]


async def test_an_address_that_is_one_of_the_id_replaces_none(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    token = await house.invited(MOTHER)
    assert await house.join.replace(token, login_id=ID, password=PASSWORD, client=HERE) == AddRefused(reason="already")


# Links and waits


async def test_dead_links_add_and_replace_nothing(house: House) -> None:
    await house.registered(MOTHER)
    burnt, expired = await house.invited(FATHER), await house.invited(GRANDMOTHER)
    for _ in range(5):
        await house.join.register(burnt, replace(FORM, code="AAAA-AAAA"))
    for token, dead in ((burnt, BURNT_LINK), ("no token", INVALID_LINK)):
        assert await house.join.add(token, login_id=ID, password=PASSWORD, label="", kind="", client=HERE) == dead
        assert await house.join.replace(token, login_id=ID, password=PASSWORD, client=HERE) == dead
    house.clock.pass_(DAY)
    assert await house.join.add(expired, login_id=ID, password=PASSWORD, label="", kind="", client=HERE) == EXPIRED_LINK
    assert house.passwords.looked_at == []


async def test_who_guessed_too_often_waits_and_another_network_does_not(house: House) -> None:
    await house.registered(MOTHER)
    for _ in range(5):
        assert await add(house, FATHER, password="wrong-password") == AddRefused(reason="login")
    assert await add(house, FATHER, password=PASSWORD) == AddRefused(reason="wait", wait_s=60)
    assert isinstance(await add(house, FATHER, client=ELSEWHERE), Registered)


# All at once


async def test_twenty_at_once_for_one_pupil_three_succeed(house: House) -> None:
    tokens = [await house.invited(f"kazoku.{number}@docomo.ne.jp") for number in range(20)]
    done = await asyncio.gather(
        *(house.register(token=token, login_id=f"kazoku{number:02}") for number, token in enumerate(tokens))
    )
    assert Counter(type(each).__name__ for each in done) == {"Registered": 3, "NotRegistered": 17}
    assert {each.faults["name"] for each in done if isinstance(each, NotRegistered)} == {Fault.ADDRESSES_FULL}
    assert await house.count("contact") == 3


async def test_twenty_at_once_by_every_way_in_three_succeed(house: House) -> None:
    await house.registered(MOTHER)
    tokens = [await house.invited(f"kazoku.{number}@docomo.ne.jp") for number in range(20)]
    networks = [Client(network=f"203.0.113.{number}/32") for number in range(20)]
    ways = [
        house.register(token=token, login_id=f"kazoku{number:02}")
        if number % 2
        else house.join.add(token, login_id=ID, password=PASSWORD, label="", kind="guardian", client=networks[number])
        for number, token in enumerate(tokens)
    ]
    done = await asyncio.gather(*ways)
    assert sum(isinstance(each, Registered) for each in done) == 2
    assert await house.count("contact") == 3


async def test_twenty_at_once_for_one_id_one_succeeds(house: House) -> None:
    tokens = [await house.invited(f"kazoku.{number}@docomo.ne.jp") for number in range(20)]
    done = await asyncio.gather(*(house.register(token=token, kana=f"たかはし {number}") for number, token in enumerate(tokens)))
    assert Counter(type(each).__name__ for each in done) == {"Registered": 1, "NotRegistered": 19}
    refused = [each for each in done if isinstance(each, NotRegistered)]
    assert all(each.faults == {"login_id": Fault.TAKEN} and len(each.suggestions) == 3 for each in refused)


async def test_one_form_pressed_twenty_times_at_once_adds_one_address(house: House) -> None:
    await house.registered(MOTHER)
    token = await house.invited(FATHER)
    done = await asyncio.gather(
        *(
            house.join.add(token, login_id=ID, password=PASSWORD, label="父", kind="guardian", client=Client(f"203.0.113.{n}/32"))
            for n in range(20)
        )
    )
    assert [each == done[0] for each in done if isinstance(each, Registered)] == [True] * 20
    assert await house.addresses() == [MOTHER, FATHER]
    assert len(await house.owed()) == 2


# What happens while argon2 works


@pytest.mark.parametrize(
    "meanwhile, done",
    [
        ("UPDATE invitation SET burnt_at = 1", BURNT_LINK),
        ("UPDATE registration SET password_hash = 'hash of another'", AddRefused(reason="login")),
        ("DELETE FROM registration WHERE NOT EXISTS (SELECT 1 FROM contact)", AddRefused(reason="login")),
    ],
)
async def test_what_ended_while_the_password_was_looked_at_adds_and_replaces_nothing(
    house: House, meanwhile: str, done: object
) -> None:
    await house.registered(MOTHER)
    token = await house.invited(FATHER)
    if meanwhile.startswith("DELETE"):  # as after a withdrawal
        await house.change("DELETE FROM contact")
        await house.change("DELETE FROM invitation_use")

    async def replaces() -> object:
        return await house.join.replace(token, login_id=ID, password=PASSWORD, client=HERE)

    async def adds() -> object:
        return await house.join.add(token, login_id=ID, password=PASSWORD, label="", kind="", client=HERE)

    for attempt in (replaces, adds):
        house.passwords.meanwhile = lambda: house.change(meanwhile)
        assert await attempt() == done
        await house.change("UPDATE registration SET password_hash = ?", (f"hash of {PASSWORD}",))
        if done == BURNT_LINK:
            await house.change("UPDATE invitation SET burnt_at = NULL")
    assert FATHER not in await house.addresses()
