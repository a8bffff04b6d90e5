"""Undo: the old address says no, also after the new one has taken everything over."""

import asyncio

from mailgate.core.instants import DAY, HOUR
from mailgate.journeys.keep import LoggedIn, LoginRefused, Undone
from mailgate.journeys.links import EXPIRED_LINK, INVALID_LINK, LinkDead
from mailgate.journeys.shown import Client
from tests.journeys.house import FATHER, FORM, GRANDMOTHER, HERE, MOTHER, NEW_PHONE, PASSWORD, House, Owed

ID = FORM.login_id
THIEF = "dorobou@gmail.com"
THIEFS_PASSWORD = "ima-wa-watashi-no-1"
OWNERS_PASSWORD = "torimodoshita-9"


async def changed(house: House, to: str) -> str:
    """The undo link of the last letter about a change to an address; all letters are out."""
    letters = [each for each in await house.owed() if (each.letter, each.to) == ("address_changed", to)]
    return await house.undo_token(letters[-1].params["change"])


async def undone(house: House, token: str) -> Undone:
    done = await house.keep.undo(token)
    assert isinstance(done, Undone), done
    return done


async def test_a_replaced_address_comes_back_as_it_was(house: House) -> None:
    await house.registered(MOTHER, label="母のスマホ")
    await house.change("UPDATE contact SET proven_at = 5")
    (before,) = await house.ask("SELECT * FROM contact")
    await house.replaced(NEW_PHONE)
    token = await changed(house, MOTHER)
    view = await house.keep.undo_view(token)
    assert not isinstance(view, LinkDead)
    assert (view.kind, view.pupil_name, view.old_label, view.new_label) == ("replaced", FORM.name, "母のスマホ", "母のスマホ")
    assert (view.undone, view.more, view.until) == (False, 0, house.clock.now() + 3 * DAY)
    house.clock.pass_(HOUR)
    done = await undone(house, token)
    assert (done.login_id, done.restored, done.removed) == (ID, True, 1)
    (after,) = await house.ask("SELECT * FROM contact")
    assert tuple(after) == tuple(before)
    view = await house.keep.undo_view(token)
    assert not isinstance(view, LinkDead)
    assert view.undone


async def test_an_addition_is_undone_from_the_notice_to_those_who_were_there(house: House) -> None:
    await house.registered(MOTHER)
    await house.join.add(await house.invited(FATHER), login_id=ID, password=PASSWORD, label="父", kind="", client=HERE)
    token = await changed(house, MOTHER)
    view = await house.keep.undo_view(token)
    assert not isinstance(view, LinkDead)
    assert (view.kind, view.old_label, view.new_label) == ("added", "", "父")
    done = await undone(house, token)
    assert (done.restored, done.removed) == (False, 1)
    assert await house.addresses() == [MOTHER]


async def test_a_removed_address_comes_back(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    session = await house.logged_in()
    assert await house.keep.remove_contact(session, "1") == "removed"
    token = await changed(house, MOTHER)
    done = await undone(house, token)
    assert (done.restored, done.removed) == (True, 0)
    assert await house.addresses() == [MOTHER, FATHER]


async def test_twice_is_once(house: House) -> None:
    await house.registered(MOTHER)
    await house.replaced(NEW_PHONE)
    token = await changed(house, MOTHER)
    done = await asyncio.gather(*(undone(house, token) for _ in range(5)))
    assert sum(each.reset_token is not None for each in done) == 1
    assert Undone(login_id=ID, restored=False, removed=0, reset_token=None) in done
    assert await house.addresses() == [MOTHER]


async def test_a_takeover_is_undone_whole_although_the_thief_has_changed_everything(house: House) -> None:
    """The thief knows the password: adds an address, removes the owner's two, sets a password, stays logged in, has ways to come back."""
    await house.registered(MOTHER)
    await house.added(FATHER)
    await house.join.add(await house.invited(THIEF), login_id=ID, password=PASSWORD, label="", kind="", client=HERE)
    token = await changed(house, MOTHER)
    thief = await house.keep.login(login_id=ID, password=PASSWORD, client=Client("203.0.113.0/24"))
    assert isinstance(thief, LoggedIn)
    for contact in ("1", "2"):
        assert await house.keep.remove_contact(thief.session, contact) == "removed"
    assert await house.keep.change_password(thief.session, old=PASSWORD, new=THIEFS_PASSWORD) is True
    await house.keep.forgot(ID, client=HERE)
    code = await house.one_time_code()
    assert await house.addresses() == [THIEF]
    view = await house.keep.undo_view(token)
    assert not isinstance(view, LinkDead)
    assert view.more == 2

    house.clock.pass_(71 * HOUR)
    thief = await house.keep.login(login_id=ID, password=THIEFS_PASSWORD, client=Client("203.0.113.0/24"))
    assert isinstance(thief, LoggedIn)
    done = await undone(house, token)
    assert done.removed == 1
    assert await house.addresses() == [MOTHER, FATHER]
    assert await house.keep.me(thief.session) is None
    browser = Client("203.0.113.0/24", browser=thief.browser.encode())
    for password in (PASSWORD, THIEFS_PASSWORD, code):
        assert await house.keep.login(login_id=ID, password=password, client=browser) == LoginRefused()
    assert await house.count("known_browser") == 0
    (link,) = await house.ask("SELECT link_id, issued_at FROM password_link WHERE used_at IS NOT NULL")
    assert await house.keep.reset(house.links.password_token(link["link_id"], link["issued_at"]), THIEFS_PASSWORD) == EXPIRED_LINK
    assert done.reset_token is not None
    assert await house.keep.reset(done.reset_token, OWNERS_PASSWORD) is True
    assert isinstance(await house.keep.login(login_id=ID, password=OWNERS_PASSWORD, client=HERE), LoggedIn)


async def test_an_address_that_the_changes_themselves_brought_does_not_come_back(house: House) -> None:
    """Replaced by one and that by another: the undo of the first leads to before the first."""
    await house.registered(MOTHER)
    await house.replaced(THIEF)
    token = await changed(house, MOTHER)
    await house.replaced("dorobou.2@gmail.com")
    later_token = await changed(house, THIEF)
    await undone(house, token)
    assert await house.addresses() == [MOTHER]
    again = await undone(house, later_token)
    assert again.reset_token is None
    assert await house.addresses() == [MOTHER]


async def test_an_undo_of_an_earlier_change_goes_on_from_a_later_one_that_was_undone(house: House) -> None:
    await house.registered(MOTHER)
    await house.join.add(await house.invited(FATHER), login_id=ID, password=PASSWORD, label="", kind="", client=HERE)
    early = await changed(house, MOTHER)
    session = await house.logged_in()
    assert await house.keep.remove_contact(session, "2") == "removed"
    late = await changed(house, FATHER)
    await undone(house, late)
    assert await house.addresses() == [MOTHER, FATHER]
    await undone(house, early)
    assert await house.addresses() == [MOTHER]


async def test_nobody_gets_a_fourth_address_by_an_undo(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    await house.added(GRANDMOTHER)
    session = await house.logged_in()
    assert await house.keep.remove_contact(session, "1") == "removed"
    token = await changed(house, MOTHER)
    await house.registered("oba@docomo.ne.jp", login_id="oba2026")
    done = await undone(house, token)
    assert not done.restored
    assert done.reset_token is not None
    assert await house.count("contact") == 3


async def test_those_who_are_there_are_told_as_news(house: House) -> None:
    await house.registered(MOTHER)
    await house.added(FATHER)
    await house.registered(GRANDMOTHER, login_id="sobo2026")
    session = await house.logged_in()
    await house.keep.remove_contact(session, "1")
    token = await changed(house, MOTHER)
    await undone(house, token)
    letters = await house.owed()
    assert [(each.letter, each.to) for each in letters] == [
        ("address_changed", MOTHER),
        ("address_changed", FATHER),
        ("address_changed", GRANDMOTHER),
    ]
    kinds = await house.ask(
        "SELECT kind, old_address_id, new_contact_id FROM change WHERE id >= ?", (letters[0].params["change"],)
    )
    assert [tuple(row) for row in kinds] == [("added", None, None)] * 2
    assert letters[-1].params != letters[0].params


async def test_after_72_hours_and_by_other_links_nothing_is_undone(house: House) -> None:
    await house.registered(MOTHER)
    await house.replaced(NEW_PHONE)
    token = await changed(house, MOTHER)
    house.clock.pass_(72 * HOUR)
    assert await house.keep.undo(token) == EXPIRED_LINK
    assert await house.keep.undo_view(token) == EXPIRED_LINK
    for other in ("no token", await house.invited(MOTHER)):
        assert await house.keep.undo(other) == INVALID_LINK
    assert await house.addresses() == [NEW_PHONE]


async def test_news_has_no_link_that_undoes_it(house: House) -> None:
    await house.registered(MOTHER)
    await house.registered(FATHER, login_id="chichi2026")
    await house.replaced(NEW_PHONE)
    (news,) = [each for each in await house.owed() if each.to == FATHER]
    assert news == Owed("address_changed", FATHER, {"change": 2})
    (row,) = await house.ask("SELECT link_id, made_at FROM change WHERE id = 2")
    forged = house.links.undo_token(row["link_id"], row["made_at"])
    assert await house.keep.undo(forged) == INVALID_LINK


async def test_an_address_that_came_back_by_itself_is_not_doubled(house: House) -> None:
    await house.registered(MOTHER)
    await house.replaced(NEW_PHONE)
    token = await changed(house, MOTHER)
    await house.added(MOTHER)
    done = await undone(house, token)
    assert done.restored
    assert await house.addresses() == [MOTHER]
