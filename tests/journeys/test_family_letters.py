"""The letters that changes of a registration owe, as they go out: who gets them, and that their links open what they say."""

import pytest

from mailgate.core.instants import DAY, HOUR, MINUTE
from mailgate.journeys.keep import LoggedIn
from mailgate.journeys.shown import Client, Registered, UndoView
from tests.builders import FORM, Sent, Town

MOTHER, FATHER, SOFTBANK = "haha@docomo.ne.jp", "chichi..x@ezweb.ne.jp", "atarashii@softbank.ne.jp"
HERE = Client(network="192.0.2.0/24")


async def a_mother(town: Town) -> None:
    await town.a_school()
    await town.registered(MOTHER, login_id="hanako2026")
    await town.sent()
    town.clock.pass_(HOUR)


async def logged_in(town: Town) -> str:
    done = await town.keep.login(login_id="hanako2026", password=FORM.password, client=HERE)
    assert isinstance(done, LoggedIn)
    return done.session


async def added(town: Town, address: str) -> dict[str, Sent]:
    """The address asks by its own blank mail, and is added to the mother's ID; what goes out, by recipient."""
    token = (await town.invited(address)).token("j")
    done = await town.join.add(
        token, login_id="hanako2026", password=FORM.password, label="父のスマホ", kind="guardian", client=HERE
    )
    assert isinstance(done, Registered)
    return {mail.to: mail for mail in await town.sent()}


async def test_an_added_address_gets_its_completion_and_the_others_hear_of_it_and_may_undo(town: Town) -> None:
    await a_mother(town)
    out = await added(town, FATHER)
    assert {to: mail.letter for to, mail in out.items()} == {FATHER: "completion", MOTHER: "address_changed"}
    news = out[MOTHER]
    assert "加わりました" in news.text
    assert "新しいアドレス：父のスマホ\n" in news.text
    assert "外れた" not in news.text
    view = await town.keep.undo_view(news.token("undo"))
    assert isinstance(view, UndoView)
    assert (view.kind, view.new_label) == ("added", "父のスマホ")
    assert "1月4日（日）" in news.text  # 72 hours after New Year's Day


async def test_a_replaced_address_hears_of_it_and_may_undo(town: Town) -> None:
    await a_mother(town)
    token = (await town.invited(SOFTBANK)).token("j")
    done = await town.join.replace(token, login_id="hanako2026", password=FORM.password, client=HERE)
    assert isinstance(done, Registered)
    out = {mail.to: mail for mail in await town.sent()}
    assert {to: mail.letter for to, mail in out.items()} == {SOFTBANK: "completion", MOTHER: "address_changed"}
    assert "替わりました" in out[MOTHER].text
    assert isinstance(await town.keep.undo_view(out[MOTHER].token("undo")), UndoView)
    assert out[MOTHER].row.address_id != out[SOFTBANK].row.address_id


async def test_who_registered_the_same_child_before_is_told_and_learns_no_id(town: Town) -> None:
    await a_mother(town)
    await town.registered(FATHER, login_id="papa2026")
    out = {mail.to: mail for mail in await town.sent()}
    assert {to: mail.letter for to, mail in out.items()} == {FATHER: "completion", MOTHER: "joined"}
    assert "苫小牧 花子 さん\n北小学校 3年1組\n" in out[MOTHER].text
    assert "papa2026" not in out[MOTHER].text
    assert "http" not in out[MOTHER].text


async def test_a_forgotten_password_is_set_by_the_link_in_the_mail(town: Town) -> None:
    await a_mother(town)
    await town.keep.forgot("hanako2026", client=HERE)
    (mail,) = await town.sent()
    assert (mail.letter, mail.to) == ("password_link", MOTHER)
    assert "ログインID：hanako2026\n" in mail.text
    assert await town.keep.reset_view(mail.token("reset")) == "hanako2026"
    assert "3時まで、1回だけ" in mail.text  # two hours later


async def test_who_withdraws_gets_a_last_mail_although_all_else_is_gone(town: Town) -> None:
    await a_mother(town)
    assert await town.keep.withdraw(await logged_in(town), what="all", password=FORM.password) == "withdrawn"
    assert await town.count("registration") == 0
    (mail,) = await town.sent()
    assert (mail.letter, mail.to) == ("withdrawn", MOTHER)
    assert "touroku@gate.example.jp" in mail.text
    await town.forget.tidy()
    assert await town.ask("SELECT 1 FROM address") == []


@pytest.mark.parametrize("language, first", [("en", "An address was added"), ("easy", "この 子（こ）どもの")])
async def test_the_language_chosen_on_a_page_is_that_of_the_letters(town: Town, language: str, first: str) -> None:
    await a_mother(town)
    assert await town.keep.change_language(await logged_in(town), language)
    out = await added(town, FATHER)
    assert out[MOTHER].text.startswith(first)
    assert out[FATHER].text.startswith("登録が完了しました。")


async def test_links_of_another_day_are_not_those_of_today(town: Town) -> None:
    """The same letter gives the same link on every try; another one has another."""
    await a_mother(town)
    await town.keep.forgot("hanako2026", client=HERE)
    (first,) = await town.sent()
    town.clock.pass_(DAY + MINUTE)
    await town.keep.forgot("hanako2026", client=HERE)
    (second,) = await town.sent()
    assert first.token("reset") != second.token("reset")
