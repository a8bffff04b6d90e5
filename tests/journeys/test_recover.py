"""A forgotten password: a link by mail, and nothing to learn for who asks."""

import asyncio
from typing import Any

import pytest

from mailgate.core.instants import DAY, HOUR, MINUTE, Instant
from mailgate.core.registration import Fault
from mailgate.journeys.keep import LoggedIn, LoginRefused
from mailgate.journeys.links import EXPIRED_LINK, INVALID_LINK
from mailgate.journeys.shown import Client
from tests.journeys.house import CHILDS_OWN, ELSEWHERE, FATHER, FORM, HERE, MOTHER, PASSWORD, House, Owed

ID = FORM.login_id
NEW_PASSWORD = "ame-nochi-hare-7"


async def link_of(house: House, letter: Owed) -> str:
    """The token that a letter carries."""
    (row,) = await house.ask("SELECT link_id, issued_at FROM password_link WHERE id = ?", (letter.params["link"],))
    return house.links.password_token(row["link_id"], Instant(row["issued_at"]))


async def asked(house: House, login_id: str = ID, client: Client = HERE) -> list[Owed]:
    """Somebody forgot; what is owed by it."""
    await house.keep.forgot(login_id, client=client)
    return await house.owed()


async def test_the_guardians_get_a_link_and_the_pupil_none(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    await house.added(CHILDS_OWN, kind="pupil")
    letters = await asked(house, " HANAKO2026 ")
    assert [(each.letter, each.to) for each in letters] == [("password_link", MOTHER), ("password_link", FATHER)]
    assert house.wakes > 0


async def test_an_id_with_the_pupils_own_address_alone_is_written_to_there(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(CHILDS_OWN, login_id="hanako-x", kind="pupil")
    assert [each.to for each in await asked(house, "hanako-x")] == [CHILDS_OWN]


async def test_a_link_sets_a_password_once_and_ends_every_session(house: House) -> None:
    await house.registered()
    session = await house.logged_in()
    token = await link_of(house, (await asked(house))[0])
    assert await house.keep.reset_view(token) == ID
    assert await house.keep.reset_view(token) == ID  # looking uses nothing up
    assert await house.keep.reset(token, "short") is Fault.TOO_SHORT
    assert await house.keep.reset(token, ID) is Fault.LIKE_LOGIN_ID
    assert await house.keep.reset(token, NEW_PASSWORD) is True
    assert await house.keep.reset(token, PASSWORD) == EXPIRED_LINK
    assert await house.keep.reset_view(token) == EXPIRED_LINK
    assert await house.keep.me(session) is None
    assert await house.keep.login(login_id=ID, password=PASSWORD, client=HERE) == LoginRefused()
    assert isinstance(await house.keep.login(login_id=ID, password=NEW_PASSWORD, client=HERE), LoggedIn)


async def test_one_link_pressed_at_once_sets_one_password(house: House) -> None:
    await house.registered()
    token = await link_of(house, (await asked(house))[0])
    done = await asyncio.gather(*(house.keep.reset(token, f"ame-nochi-hare-{n}") for n in range(10)))
    assert sorted(map(str, done)) == sorted(["True", *[str(EXPIRED_LINK)] * 9])


async def test_a_link_is_good_for_two_hours_and_until_another_one_was_used(house: House) -> None:
    await house.registered()
    first = await link_of(house, (await asked(house))[0])
    house.clock.pass_(MINUTE)
    second = await link_of(house, (await asked(house))[0])
    assert await house.keep.reset(second, NEW_PASSWORD) is True
    assert await house.keep.reset(first, PASSWORD) == EXPIRED_LINK
    house.clock.pass_(HOUR)
    third = await link_of(house, (await asked(house))[0])
    house.clock.pass_(2 * HOUR)
    assert await house.keep.reset(third, PASSWORD) == EXPIRED_LINK
    for token in ("no token", await house.invited()):
        assert await house.keep.reset(token, PASSWORD) == INVALID_LINK
        assert await house.keep.reset_view(token) == INVALID_LINK


async def test_a_link_of_a_registration_that_is_gone_is_dead(house: House) -> None:
    await house.registered()
    token = await link_of(house, (await asked(house))[0])
    await house.keep.withdraw(await house.logged_in(), what="all", password=PASSWORD)
    assert await house.keep.reset(token, NEW_PASSWORD) == INVALID_LINK


async def test_for_an_unknown_id_the_same_statements_run_and_nothing_is_owed(house: House) -> None:
    await house.registered()
    known = await house.written_by(house.keep.forgot(ID, client=HERE))
    unknown = await house.written_by(house.keep.forgot("nobody99", client=HERE))
    assert known == unknown
    assert "COMMIT" in known
    assert [each.to for each in await house.owed()] == [MOTHER]
    assert await house.count("password_link") == 1
    assert house.passwords.looked_at == []


@pytest.mark.parametrize("login_id", [ID, "nobody99"])
async def test_an_id_is_asked_for_as_often_as_an_address_is_answered(house: House, login_id: str) -> None:
    await house.registered()
    counted = []
    for _ in range(9):
        await house.keep.forgot(login_id, client=HERE)
        counted.append(await house.count("login_failure") // 2)
        house.clock.pass_(30 * MINUTE)
    assert counted == [1, 2, 3, 4, 5, 6, 6, 6, 6]
    house.clock.pass_(DAY)
    await house.keep.forgot(login_id, client=HERE)
    assert await house.count("login_failure") // 2 == 7


async def test_many_presses_at_once_send_one_link(house: House) -> None:
    await house.registered()
    await asyncio.gather(*(house.keep.forgot(ID, client=HERE) for _ in range(20)))
    assert len(await house.owed()) == 1


async def test_a_network_that_asks_for_everybody_is_held_and_another_is_not(house: House) -> None:
    await house.registered()
    for number in range(60):
        await house.keep.forgot(f"family{number}", client=HERE)
    assert await asked(house) == []
    assert [each.to for each in await asked(house, client=ELSEWHERE)] == [MOTHER]


async def test_who_failed_until_he_had_to_wait_logs_in_after_the_reset(house: House) -> None:
    await house.registered()
    login: dict[str, Any] = {"login_id": ID, "client": HERE}
    for _ in range(6):
        await house.keep.login(password="wrong-password", **login)
    assert await house.keep.login(password=PASSWORD, **login) == LoginRefused(wait_s=60)
    token = await link_of(house, (await asked(house))[0])
    assert await house.keep.reset(token, NEW_PASSWORD, client=HERE) is True
    assert isinstance(await house.keep.login(password=NEW_PASSWORD, **login), LoggedIn)
