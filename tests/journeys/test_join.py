"""Join: an invitation's link, a form, a registration (J1)."""

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from mailgate.core import registration
from mailgate.core.audience import SchoolKind
from mailgate.core.instants import DAY, HOUR, SECOND, later
from mailgate.core.registration import Fault, Form, Registration, SchoolFacts
from mailgate.core.tokens import Purpose, sign
from mailgate.journeys.join import Join, NotRegistered, Registered
from mailgate.journeys.links import BURNT_LINK, EXPIRED_LINK, INVALID_LINK, LinkDead
from mailgate.store import schools
from mailgate.wiring import means_of
from tests.builders import FORM, Town, a_key, some_keys
from tests.fakes import CheapPasswords, FixedDice

MOTHER, FATHER = "a..b@docomo.ne.jp", "chichi@gmail.com"


@pytest.fixture
async def form(town: Town) -> Form:
    """A form that north school would take."""
    return replace(FORM, code=await town.a_school())


async def link_of(town: Town, sender: str = MOTHER) -> str:
    return (await town.invited(sender)).token("j")


# The straight way


async def test_a_guardian_registers(town: Town, form: Form) -> None:
    token, wakes = await link_of(town), town.wakes
    done = await town.join.register(token, form)
    assert done == Registered(login_id="hanako2026", pupil_name="苫小牧 花子", school_name="北小学校", class_text="3年1組", on_roster=True)
    assert town.wakes == wakes + 1
    (contact,) = await town.ask("SELECT kind, label, proven_at FROM contact")
    assert tuple(contact) == ("guardian", "母のスマホ", None)
    (pupil,) = await town.ask("SELECT name, kana, on_roster FROM pupil")
    assert tuple(pupil) == ("苫小牧 花子", "とまこまい はなこ", 0)
    (line,) = await town.ask("SELECT actor, event FROM audit")
    assert tuple(line) == ("guardian", "registration.completed")


async def test_the_completion_mail_goes_to_the_address_that_got_the_link(town: Town, form: Form) -> None:
    await town.join.register(await link_of(town), form)
    (completion,) = await town.sent()
    assert (completion.letter, completion.to) == ("completion", MOTHER)
    assert "hanako2026" in completion.text
    assert "yuki-no-asa-5" not in completion.text


async def test_the_password_is_kept_as_a_hash_alone(town: Town, form: Form) -> None:
    await town.join.register(await link_of(town), form)
    (row,) = await town.ask("SELECT password_hash FROM registration")
    assert row["password_hash"].startswith("$argon2id$")
    assert await town.footing.passwords.matches(row["password_hash"], form.password)
    assert not await town.footing.passwords.matches(row["password_hash"], form.password + "x")


async def test_the_landing_says_until_when_the_link_holds_and_what_came_by_it(town: Town, form: Form) -> None:
    token = await link_of(town, FATHER)
    landing = await town.join.landing(token)
    assert not isinstance(landing, LinkDead)
    assert (landing.valid_until, landing.provider, landing.free_mail, landing.registered) == (
        later(town.clock.now(), DAY), "gmail", True, (),
    )  # fmt: skip
    await town.join.register(token, form)
    town.clock.pass_(SECOND)
    await town.join.register(token, replace(form, login_id="taro2026", name="苫小牧 太郎", kana="タロウ", grade="", class_name=""))
    landing = await town.join.landing(token)
    assert not isinstance(landing, LinkDead)
    assert [(each.login_id, each.class_text) for each in landing.registered] == [("taro2026", ""), ("hanako2026", "3年1組")]


async def test_a_carrier_address_is_no_free_mail(town: Town) -> None:
    await town.a_school()
    landing = await town.join.landing(await link_of(town))
    assert not isinstance(landing, LinkDead)
    assert (landing.provider, landing.free_mail) == ("docomo", False)


@pytest.mark.parametrize(
    "grade, class_name, text",
    [("3", "1", "3年1組"), ("３", "１", "3年1組"), ("3", "つばさ", "3年 つばさ"), ("3", "2", "3年 つばさ"), ("3", "1組", "3年1組"),
     ("3", "", "3年"), ("", "", "")],
)  # fmt: skip
async def test_grade_and_class_may_be_not_known_yet(town: Town, form: Form, grade: str, class_name: str, text: str) -> None:
    done = await town.join.register(await link_of(town), replace(form, grade=grade, class_name=class_name))
    assert isinstance(done, Registered)
    assert done.class_text == text


@pytest.mark.parametrize(
    "change, fault",
    [
        ({"login_id": ""}, Fault.MISSING),
        ({"login_id": "hanako@docomo.ne.jp"}, Fault.AT_SIGN),
        ({"password": "short"}, Fault.TOO_SHORT),
        ({"name": " "}, Fault.MISSING),
        ({"grade": "7"}, Fault.UNKNOWN_GRADE),
        ({"class_name": "9"}, Fault.UNKNOWN_CLASS),
        ({"code": ""}, Fault.MISSING),
        ({"kind": "uncle"}, Fault.UNKNOWN_KIND),
    ],
)
async def test_a_faulty_form_writes_nothing(town: Town, form: Form, change: dict[str, str], fault: Fault) -> None:
    token = await link_of(town)
    done = await town.join.register(token, replace(form, **change))
    assert done == NotRegistered(faults={next(iter(change)): fault})
    assert [await town.count(table) for table in ("registration", "contact", "pupil", "audit")] == [0, 0, 0, 0]
    assert isinstance(await town.join.register(token, form), Registered)


# Twice, and at the same time


async def test_the_same_form_twice_is_one_registration_and_one_completion_mail(town: Town, form: Form) -> None:
    token = await link_of(town)
    first, second = await town.join.register(token, form), await town.join.register(token, form)
    assert first == second
    assert isinstance(first, Registered)
    assert await town.count("registration") == 1
    assert [mail.letter for mail in await town.sent()] == ["completion"]


async def test_a_button_pressed_many_times_at_once_is_one_registration(town: Town, form: Form) -> None:
    token = await link_of(town)
    done = await asyncio.gather(*(town.join.register(token, form) for _ in range(10)))
    assert len(set(map(repr, done))) == 1
    assert isinstance(done[0], Registered)
    assert await town.count("registration") == 1
    assert [mail.letter for mail in await town.sent()] == ["completion"]


async def test_the_same_form_twice_is_one_also_when_the_roster_writes_the_name_otherwise(town: Town, form: Form) -> None:
    async with town.db.read() as tx:
        school = await schools.school_by_slug(tx, "kita-es")
        assert school is not None
        class_id = (await schools.classes_of(tx, school["id"]))[0]["id"]
    await town.change(
        "INSERT INTO pupil (school_id, grade, class_id, name, kana, kana_key, on_roster) VALUES (?, 3, ?, '苫小牧　華子', '', ?, 1)",
        (school["id"], class_id, registration.kana_key(form.kana)),
    )
    token = await link_of(town)
    first, second = await town.join.register(token, form), await town.join.register(token, form)
    assert first == second
    assert isinstance(first, Registered)
    assert [await town.count("registration"), await town.count("pupil")] == [1, 1]


async def test_twenty_at_once_for_one_pupil_from_twenty_addresses_are_three(town: Town, form: Form) -> None:
    tokens = [await link_of(town, f"a..{number}@docomo.ne.jp") for number in range(20)]
    forms = [replace(form, login_id=f"hanako-{number}") for number in range(20)]
    done = await asyncio.gather(*map(town.join.register, tokens, forms))
    assert Counter(type(each) for each in done) == {Registered: 3, NotRegistered: 17}
    assert {each.faults["name"] for each in done if isinstance(each, NotRegistered)} == {Fault.ADDRESSES_FULL}
    assert [await town.count(table) for table in ("registration", "contact", "pupil")] == [3, 3, 1]
    # The second one's coming is told to the first, the third one's to both.
    assert Counter(mail.letter for mail in await town.sent()) == {"completion": 3, "joined": 3}


async def test_twenty_at_once_for_one_login_id_are_one(town: Town, form: Form) -> None:
    tokens = [await link_of(town, f"a..{number}@docomo.ne.jp") for number in range(20)]
    spellings = ("hanako2026", "HANAKO2026", "ｈａｎａｋｏ２０２６", "Hanako2026")
    forms = [replace(form, login_id=spellings[number % 4], name=f"子 {number}", kana=f"コ{number}") for number in range(20)]
    done = await asyncio.gather(*map(town.join.register, tokens, forms))
    assert Counter(type(each) for each in done) == {Registered: 1, NotRegistered: 19}
    assert {each.faults["login_id"] for each in done if isinstance(each, NotRegistered)} == {Fault.TAKEN}
    assert await town.count("registration") == 1


# IDs


async def test_a_taken_id_gives_three_free_legal_ones(town: Town, form: Form) -> None:
    await town.join.register(await link_of(town), form)
    for taken in ("hanako2023", "hanako2023-1", "hanako-2023a"):  # what would have been proposed first
        await town.registered(f"{taken}@docomo.ne.jp", login_id=taken, name=taken, kana=taken)
    other = replace(form, name="北 華子", kana="キタ ハナコ")
    done = await town.join.register(await link_of(town, FATHER), other)
    assert isinstance(done, NotRegistered)
    assert done.faults == {"login_id": Fault.TAKEN}
    assert len(set(done.suggestions)) == 3
    facts = SchoolFacts(kind=SchoolKind.ELEMENTARY, classes={3: ("1",)})
    for number, proposed in enumerate(done.suggestions):
        assert "2023" in proposed  # who is in grade 3 before April 2026 came in April 2023
        assert isinstance(registration.check(replace(other, login_id=proposed), school=facts), Registration)
        taken_up = replace(other, login_id=proposed, name=f"北 {number}", kana=f"キタ{number}")
        assert isinstance(await town.join.register(await link_of(town, f"c{number}@docomo.ne.jp"), taken_up), Registered)


async def test_an_id_is_never_given_to_somebody_else(town: Town, form: Form) -> None:
    await town.join.register(await link_of(town), form)
    for again in (form, replace(form, password="another-one-7")):
        done = await town.join.register(await link_of(town, FATHER), again)
        town.clock.pass_(HOUR)
        assert isinstance(done, NotRegistered)
        assert done.faults == {"login_id": Fault.TAKEN}


async def test_a_sibling_under_the_same_id_is_told_that_it_is_taken(town: Town, form: Form) -> None:
    token = await link_of(town)
    await town.join.register(token, form)
    done = await town.join.register(token, replace(form, name="苫小牧 太郎", kana="トマコマイ タロウ"))
    assert isinstance(done, NotRegistered)
    assert done.faults == {"login_id": Fault.TAKEN}


# Pupils and their addresses


async def test_siblings_come_by_the_same_link_under_ids_of_their_own(town: Town, form: Form) -> None:
    token = await link_of(town)
    for number in range(5):
        sibling = replace(form, login_id=f"kyodai-{number}", name=f"苫小牧 {number}", kana=f"トマコマイ {number}")
        assert isinstance(await town.join.register(token, sibling), Registered)
    assert [await town.count(table) for table in ("registration", "contact", "pupil", "address")] == [5, 5, 5, 1]


async def test_one_pupil_is_known_by_any_spelling_of_its_kana(town: Town, form: Form) -> None:
    spellings = ("とまこまい はなこ", "トマコマイハナコ", "ﾄﾏｺﾏｲ ﾊﾅｺ", "とまこまい　はなこ")
    done = [
        await town.join.register(await link_of(town, f"s{number}@docomo.ne.jp"), replace(form, login_id=f"hanako-{number}", kana=kana))
        for number, kana in enumerate(spellings)
    ]
    assert [type(each) for each in done] == [Registered] * 3 + [NotRegistered]
    assert await town.count("pupil") == 1


async def test_two_children_of_one_name_in_two_classes_are_two(town: Town, form: Form) -> None:
    for number, class_name in enumerate(("1", "2", "")):
        done = await town.join.register(
            await link_of(town, f"s{number}@docomo.ne.jp"), replace(form, login_id=f"hanako-{number}", class_name=class_name)
        )
        assert isinstance(done, Registered)
    assert await town.count("pupil") == 3


async def test_a_registration_code_is_drawn_until_nobody_has_it(town: Town, form: Form) -> None:
    await town.change("UPDATE registration_code SET code = ?", (await next_code(town),))
    assert await town.a_school("minami-es") != await town.code_of("kita-es")


async def next_code(town: Town) -> str:
    """The code that would be drawn next."""
    drawn = replace_dice(town).text("3467ACDEFGHJKMNPQRTWXY", 8)
    return f"{drawn[:4]}-{drawn[4:]}"


def replace_dice(town: Town) -> FixedDice:
    """Dice that stand where the town's stand."""
    dice = FixedDice()
    dice._drawn = town.footing.dice._drawn  # type: ignore[attr-defined]  # they are FixedDice
    return dice


async def test_an_address_that_the_pupil_has_already_counts_once(town: Town, form: Form) -> None:
    for number in range(3):
        await town.registered(f"s{number}@docomo.ne.jp", login_id=f"hanako-{number}")
    town.clock.pass_(HOUR)
    again = await town.join.register(await link_of(town, "s0@docomo.ne.jp"), replace(form, login_id="hanako-again"))
    assert isinstance(again, Registered)
    full = await town.join.register(await link_of(town, "s9@docomo.ne.jp"), replace(form, login_id="hanako-full"))
    assert full == NotRegistered(faults={"name": Fault.ADDRESSES_FULL})


async def test_a_pupils_own_address_comes_after_a_guardians(town: Town, form: Form) -> None:
    own = replace(form, login_id="hanako-own", kind="pupil")
    token = await link_of(town, "hanako@docomo.ne.jp")
    assert await town.join.register(token, own) == NotRegistered(faults={"kind": Fault.GUARDIAN_FIRST})
    assert await town.count("pupil") == 0
    await town.join.register(await link_of(town), form)
    assert isinstance(await town.join.register(token, own), Registered)
    assert await town.join.register(await link_of(town, "x@docomo.ne.jp"), replace(own, login_id="y-own", kana="ベツ ノコ")) == (
        NotRegistered(faults={"kind": Fault.GUARDIAN_FIRST})
    )


async def test_after_the_guardians_are_gone_a_pupils_own_address_is_no_reason_for_another(town: Town, form: Form) -> None:
    await town.join.register(await link_of(town), form)
    await town.change("UPDATE contact SET kind = 'pupil'")
    own = replace(form, login_id="hanako-own", kind="pupil")
    assert await town.join.register(await link_of(town, FATHER), own) == NotRegistered(faults={"kind": Fault.GUARDIAN_FIRST})


# Registration codes


@pytest.mark.parametrize("write", [str.lower, lambda code: code.replace("-", ""), lambda code: f" {code.replace('-', ' ')} ",
                                   lambda code: "".join(chr(ord(char) + 0xFEE0) for char in code)])  # fmt: skip
async def test_a_code_may_be_typed_in_any_way(town: Town, form: Form, write) -> None:  # type: ignore[no-untyped-def]
    done = await town.join.register(await link_of(town), replace(form, code=write(form.code)))
    assert isinstance(done, Registered)


async def test_the_code_says_which_school(town: Town, form: Form) -> None:
    code = await town.a_school("chuo-jhs", name="中央中学校", kind="junior", classes=("3-1",))
    done = await town.join.register(await link_of(town), replace(form, code=code))
    assert isinstance(done, Registered)
    assert done.school_name == "中央中学校"


async def test_after_a_rotation_the_new_code_is_good_and_the_old_one_is_not(town: Town, form: Form) -> None:
    async with town.db.write() as tx:
        school = await schools.school_by_slug(tx, "kita-es")
        assert school is not None
        await schools.end_codes(tx, school_id=school["id"], valid_to=town.clock.now())
        await schools.add_code(tx, school_id=school["id"], code="NEWC-ODES", valid_from=town.clock.now())
    token = await link_of(town)
    assert await town.join.register(token, form) == NotRegistered(faults={"code": Fault.UNKNOWN_CODE})
    assert isinstance(await town.join.register(token, replace(form, code="NEWC-ODES")), Registered)


async def test_five_wrong_codes_burn_the_link_for_the_right_one_too(town: Town, form: Form) -> None:
    token = await link_of(town)
    wrong = [await town.join.register(token, replace(form, code=f"WRONG-{number}")) for number in range(5)]
    assert wrong == [NotRegistered(faults={"code": Fault.UNKNOWN_CODE})] * 4 + [BURNT_LINK]
    assert await town.join.register(token, form) == BURNT_LINK
    assert await town.join.landing(token) == BURNT_LINK
    assert await town.count("registration") == 0


async def test_a_blank_code_is_no_try(town: Town, form: Form) -> None:
    token = await link_of(town)
    for _ in range(9):
        await town.join.register(token, replace(form, code=" "))
    assert isinstance(await town.join.register(token, form), Registered)


async def test_wrong_codes_on_one_link_burn_no_other(town: Town, form: Form) -> None:
    token, other = await link_of(town), await link_of(town, FATHER)
    for _ in range(5):
        await town.join.register(token, replace(form, code="WRONG"))
    assert isinstance(await town.join.register(other, form), Registered)


async def test_wrong_codes_tried_at_once_burn_the_link_as_well(town: Town, form: Form) -> None:
    token = await link_of(town)
    done = await asyncio.gather(*(town.join.register(token, replace(form, code=f"WRONG-{number}")) for number in range(20)))
    assert Counter(map(type, done)) == {NotRegistered: 4, LinkDead: 16}
    (row,) = await town.ask("SELECT wrong_codes, burnt_at FROM invitation")
    assert (row["wrong_codes"], row["burnt_at"]) == (5, town.clock.now())


@pytest.mark.parametrize("change", [{}, {"name": ""}], ids=["a whole form", "a form that fails anyway"])
async def test_the_right_code_behind_five_wrong_ones_says_nothing_although_all_come_at_once(
    town: Town, form: Form, change: dict[str, str]
) -> None:
    token = await link_of(town)
    forms = [replace(form, code=f"WRONG-{number}", **change) for number in range(40)] + [replace(form, **change)]
    done = await asyncio.gather(*(town.join.register(token, each) for each in forms))
    assert done[-1] == BURNT_LINK
    assert await town.count("registration") == 0


class Dawdling(CheapPasswords):
    """Passwords that take their time: meanwhile somebody burns the link."""

    def __init__(self, town: Town) -> None:
        super().__init__()
        self._town = town

    async def hash(self, secret: str) -> str:
        await self._town.change("UPDATE invitation SET burnt_at = 1")
        return await super().hash(secret)


async def test_a_link_that_is_burnt_while_the_password_is_hashed_registers_nobody(town: Town, form: Form) -> None:
    token = await link_of(town)
    join = Join(replace(means_of(town.footing, town.wake), passwords=Dawdling(town)))
    assert await join.register(token, form) == BURNT_LINK
    assert await town.count("registration") == 0


async def test_an_address_whose_link_is_burnt_gets_a_new_one(town: Town, form: Form) -> None:
    token = await link_of(town)
    for _ in range(5):
        await town.join.register(token, replace(form, code="WRONG"))
    town.clock.pass_(HOUR)
    assert isinstance(await town.join.register(await link_of(town), form), Registered)


# Links that lead nowhere


def altered(token: str, at: int) -> str:
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


async def test_altered_truncated_and_foreign_links_look_the_same_and_change_nothing(town: Town, form: Form) -> None:
    token = await link_of(town)
    (row,) = await town.ask("SELECT link_id, expires_at FROM invitation")
    foreign = Town(town.path, town.db, some_keys(links=(a_key("foreign"),)), town.clock).links
    unknown = town.links.invitation_token(bytes(15), row["expires_at"])
    dead = [
        *(altered(token, at) for at in (0, 5, 25, 30, 60)), token[:-1], token[1:], token + "A", "", ".", "x" * 5000, "学校", token.upper(),
        foreign.invitation_token(row["link_id"], row["expires_at"]), unknown,
        sign(town.links._keys, Purpose.SEND, id=row["link_id"], expires_at=row["expires_at"]),
    ]  # fmt: skip
    for each in dead:
        assert await town.join.landing(each) == INVALID_LINK, each
        assert await town.join.register(each, form) == INVALID_LINK, each
    assert await town.count("registration") == 0
    assert isinstance(await town.join.register(token, form), Registered)


async def test_a_link_ends_after_24_hours(town: Town, form: Form) -> None:
    token = await link_of(town)
    town.clock.pass_(DAY - SECOND)
    assert not isinstance(await town.join.landing(token), LinkDead)
    town.clock.pass_(SECOND)
    assert await town.join.landing(token) == EXPIRED_LINK
    assert await town.join.register(token, form) == EXPIRED_LINK
    assert await town.count("registration") == 0


# Short codes


async def short_code_of(town: Town) -> str:
    (row,) = await town.ask("SELECT link_id FROM invitation ORDER BY id DESC LIMIT 1")
    return town.links.short_code(row["link_id"])


@pytest.mark.parametrize("write", [
    str, lambda code: f"{code[:4]} {code[4:]}", lambda code: f" {code[:4]}-{code[4:]} ", lambda code: f"{code[:4]}ー{code[4:]}",
    lambda code: "".join(chr(ord(char) + 0xFEE0) for char in code), lambda code: "　".join(chr(ord(char) + 0xFEE0) for char in code),
])  # fmt: skip
async def test_a_short_code_opens_the_same_link_however_it_is_typed(town: Town, write) -> None:  # type: ignore[no-untyped-def]
    token = await link_of(town)
    assert await town.join.redeem(write(await short_code_of(town))) == token


async def test_a_short_code_that_is_none_opens_nothing(town: Town) -> None:
    await link_of(town)
    code = await short_code_of(town)
    for typed in ("", "1234", code[:-1], code + "1", f"{(int(code) + 1) % 10**8:08}", "abcdefgh", "１" * 5000):
        assert await town.join.redeem(typed) is None, typed


async def test_a_short_code_ends_with_its_link(town: Town, form: Form) -> None:
    token, code = await link_of(town), await short_code_of(town)
    for _ in range(5):
        await town.join.register(token, replace(form, code="WRONG"))
    assert await town.join.redeem(code) is None
    town.clock.pass_(HOUR)
    await link_of(town)
    code = await short_code_of(town)
    assert await town.join.redeem(code) is not None
    town.clock.pass_(DAY)
    assert await town.join.redeem(code) is None


async def test_links_and_short_codes_outlive_a_rotation_of_keys(town: Town, form: Form) -> None:
    token, code = await link_of(town), await short_code_of(town)
    later_on = Town(town.path, town.db, some_keys(links=(a_key("links"), a_key("new"))), town.clock)
    reopened = await later_on.join.redeem(code)
    assert reopened is not None
    assert reopened != token
    assert isinstance(await later_on.join.register(token, form), Registered)
    landing = await later_on.join.landing(reopened)
    assert not isinstance(landing, LinkDead)
    assert len(landing.registered) == 1


@pytest.mark.parametrize("jump", [365 * DAY, -365 * DAY])
async def test_a_clock_that_jumps_for_a_while_locks_nobody_out(town: Town, form: Form, jump: int) -> None:
    before = town.clock.now()
    token = await link_of(town)
    town.clock.set(later(before, jump))
    away = await link_of(town, FATHER)
    assert isinstance(await town.join.register(away, form), Registered)
    await town.join.register(token, replace(form, code="WRONG"))
    town.clock.set(before)
    assert isinstance(await town.join.register(token, replace(form, login_id="hanako-mother")), Registered)
    town.clock.pass_(HOUR)
    again = await link_of(town, FATHER)
    done = await town.join.register(again, replace(form, login_id="taro2026", name="苫小牧 太郎", kana="タロウ"))
    assert isinstance(done, Registered)
    landing = await town.join.landing(again)
    assert not isinstance(landing, LinkDead)
    assert landing.valid_until == later(town.clock.now(), DAY)
