"""The seven roads of a family, each walked on a phone against the whole gate: a real Chromium without JavaScript, mail over real SMTP.

One gate serves all of them, as it does in life; every road has a family of its own.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.journeys.acts import JOIN, a_gate
from tests.journeys.gate import DOMAIN, Gate, link_in
from tests.journeys.sink import Caught, Sink
from tests.web.browser import Phone, a_browser, a_phone, needs_chromium

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]

PASSWORD = "yuki-no-asa-5"
NEW_PASSWORD = "haru-no-kaze-8"
MINUTE_US = 60_000_000


@dataclass
class Town:
    """A gate, everybody's mailboxes, and the shop where phones are had."""

    gate: Gate
    sink: Sink
    browser: Browser
    code: str
    artefacts: Path

    def phone(self) -> AbstractAsyncContextManager[Phone]:
        return a_phone(self.browser, f"http://127.0.0.1:{self.gate.web}")

    async def mail(self, sender: str, box: str, number: int = 1) -> Caught:
        """A blank mail, and the so-manieth mail that its sender ever got."""
        assert (await self.gate.mail(sender, f"{box}@{DOMAIN}")).startswith("250")
        return await self.sink.mail_to(sender, number=number)

    async def link(self, sender: str, *, number: int = 1) -> str:
        """A blank mail; the link that comes back."""
        assert (await self.gate.mail(sender, JOIN)).startswith("250")
        return self.gate.page(link_in(await self.sink.mail_to(sender, number=number)))

    def a_minute_later(self) -> None:
        """Nobody is answered twice within a minute: let it be over."""
        with closing(sqlite3.connect(self.gate.folder / "mailgate.db", timeout=10)) as db, db:
            db.execute("UPDATE answer SET answered_at = answered_at - ?", (MINUTE_US + 1,))

    async def keep(self, phone: Phone, name: str) -> None:
        """Keep a picture of where a road has come to."""
        await phone.page.screenshot(path=self.artefacts / f"road-{name}.png", full_page=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(tmp_path_factory: pytest.TempPathFactory, artefacts: Path) -> AsyncIterator[Town]:
    gate, sink = Gate(tmp_path_factory.mktemp("roads") / "gate"), Sink()
    try:
        await a_gate(gate, sink)
        code = (await gate.run("school", "code", "kita-es", "--json"))["code"]
        async with a_browser() as browser:
            yield Town(gate, sink, browser, code, artefacts)
    finally:
        await gate.end()
        await sink.stop()


async def register(town: Town, phone: Phone, login_id: str, name: str, kana: str, **more: str) -> None:
    """Fill the form of a new registration and send it."""
    fields = {"code": town.code, "login_id": login_id, "password": PASSWORD, "name": name, "kana": kana}
    await phone.fill(**{**fields, "grade": "3", "class_name": "1", **more})
    await phone.press("この内容で登録する")


async def joined(town: Town, sender: str, login_id: str, name: str, kana: str) -> None:
    """Somebody who walked the first road before."""
    async with town.phone() as phone:
        await phone.open(await town.link(sender))
        await phone.follow("新規登録の人はこちら")
        await register(town, phone, login_id, name, kana, label="母のスマホ")
        assert await phone.says("登録が終わりました")
    await town.sink.mail_to(sender, number=2)


async def log_in(phone: Phone, login_id: str, password: str) -> None:
    await phone.open("/login")
    await phone.fill(login_id=login_id, password=password)
    await phone.press("ログインする")


async def test_new(town: Town) -> None:
    """Blank mail, link, form, completion mail, the button."""
    sender = "a..b.@docomo.ne.jp"
    async with town.phone() as phone:
        await phone.open(await town.link(sender))
        await town.keep(phone, "new-landing")
        await phone.follow("新規登録の人はこちら")
        await register(town, phone, "shin-1", "青木 一花", "アオキ イチカ", label="母のスマホ")
        assert phone.path.endswith("/done")
        await town.keep(phone, "new-done")
        completion = await town.sink.mail_to(sender, number=2)
        await phone.open(town.gate.page(link_in_copy(completion)))
        await phone.press("確認しました")
        assert await phone.says("確認済みです")
        await log_in(phone, "shin-1", PASSWORD)
        assert await phone.says("に確認")
        await town.keep(phone, "new-me")


def link_in_copy(mail: Caught) -> str:
    (link,) = [line for line in mail.text.split("\n") if line.startswith("http://") and "/k/" in line]
    return link


async def test_second_guardian(town: Town) -> None:
    """The father joins the mother's ID, the grandmother has an ID of her own; a fourth address is one too many; all are told."""
    mother, father, grandmother, uncle = (f"ieda-{who}@au.com" for who in ("haha", "chichi", "sobo", "oji"))
    await joined(town, mother, "ieda-1", "家田 二葉", "イエダ フタバ")
    async with town.phone() as phone:
        await phone.open(await town.link(father))
        await phone.follow("このアドレスをIDに加える")
        await phone.fill(login_id="ieda-1", password="wrong-password", label="父のスマホ")
        await phone.press("このアドレスを加える")
        assert await phone.says("ログインIDかパスワードが違います")
        assert await phone.page.input_value("#label") == "父のスマホ"
        await phone.fill(password=PASSWORD)
        await phone.press("このアドレスを加える")
        assert await phone.says("メールアドレスを加えました")
        await town.keep(phone, "second-guardian-added")
    assert "加わ" in (await town.sink.mail_to(mother, number=3)).text
    assert "ieda-1" in (await town.sink.mail_to(father, number=2)).text
    await joined(town, grandmother, "ieda-2", "家田 ふたば", "いえだ　ふたば")
    assert "登録" in (await town.sink.mail_to(mother, number=4)).text
    async with town.phone() as phone:
        await phone.open(await town.link(uncle) + "/new")
        await register(town, phone, "ieda-3", "家田 二葉", "イエダフタバ")
        assert await phone.says("すでに3件のメールアドレスが登録されています")
        await town.keep(phone, "second-guardian-full")


async def test_sibling(town: Town) -> None:
    """Another child on the same link, under an ID of its own; the one that was wanted is taken."""
    sender = "ueno@softbank.ne.jp"
    async with town.phone() as phone:
        await phone.open(await town.link(sender))
        await phone.follow("新規登録の人はこちら")
        await register(town, phone, "ueno", "上野 三太", "ウエノ サンタ")
        await phone.follow("もう一人のお子さまを登録する")
        await register(town, phone, "ueno", "上野 四葉", "ウエノ ヨツバ", grade="", class_name="")
        assert await phone.says("ほかの方が使っています")
        offered = phone.page.locator('[name=pick]:not([value=""])')
        assert await offered.count() == 3
        chosen = str(await offered.first.get_attribute("value"))
        await offered.first.check()
        await phone.fill(password=PASSWORD)
        await phone.press("この内容で登録する")
        for words in ("上野 四葉", "上野 三太", chosen, "分かったあとで学校が入れます"):
            assert await phone.says(words)
        await town.keep(phone, "sibling-done")
        await log_in(phone, chosen, PASSWORD)
        assert await phone.says("ログインID：ueno")


async def test_pupils_own(town: Town) -> None:
    """A pupil's own address: not before a guardian's, and then by the family's ID."""
    mother, child = "ena@ymobile.ne.jp", "ena-kodomo@gmail.com"
    link = await town.link(child)
    async with town.phone() as phone:
        await phone.open(link)
        assert await phone.says("フリーメール")
        await phone.follow("新規登録の人はこちら")
        await register(town, phone, "ena-1", "江名 五月", "エナ サツキ", kind="pupil")
        assert await phone.says("先に保護者の方のスマートフォンから登録してください")
        await town.keep(phone, "pupil-refused")
    await joined(town, mother, "ena-1", "江名 五月", "エナ サツキ")
    async with town.phone() as phone:
        await phone.open(link)
        await phone.follow("このアドレスをIDに加える")
        await phone.fill(login_id="ena-1", password=PASSWORD, kind="pupil", label="五月のスマホ")
        await phone.press("このアドレスを加える")
        assert await phone.says("メールアドレスを加えました")
        await log_in(phone, "ena-1", PASSWORD)
        for words in ("五月のスマホ", "お子さま本人", "母のスマホ"):
            assert await phone.says(words)
        await town.keep(phone, "pupil-me")


async def test_new_phone(town: Town) -> None:
    """A new address in the place of one of two; the old one is told and can undo it."""
    old, other, new = (f"ono-{which}@docomo.ne.jp" for which in ("old", "other", "new"))
    await joined(town, old, "ono-1", "小野 六花", "オノ リッカ")
    async with town.phone() as phone:
        await phone.open(await town.link(other) + "/add")
        await phone.fill(login_id="ono-1", password=PASSWORD, label="父のスマホ")
        await phone.press("このアドレスを加える")
        await phone.open(await town.link(new))
        await phone.follow("古いメールアドレスと入れ替える")
        await phone.fill(login_id="ono-1", password=PASSWORD)
        await phone.press("次へ進む")
        assert await phone.says("使わなくなったアドレス")
        await town.keep(phone, "new-phone-choose")
        await phone.page.get_by_label("母のスマホ").check()
        await phone.press("このアドレスと入れ替える")
        assert await phone.says("メールアドレスを入れ替えました")
        told = [mail for mail in await mails_to(town, old, 4) if "/undo/" in mail.text]
        await phone.open(town.gate.page(told[-1].line("http://")))
        await town.keep(phone, "new-phone-undo")
        await phone.press("変更を元に戻す")
        assert await phone.says("変更を元に戻しました")
        await phone.fill(password=NEW_PASSWORD)
        await phone.press("このパスワードにする")
        await log_in(phone, "ono-1", PASSWORD)
        assert await phone.says("ログインIDかパスワードが違います")
        await log_in(phone, "ono-1", NEW_PASSWORD)
        assert phone.path == "/me"
        assert await phone.says("母のスマホ")


async def mails_to(town: Town, recipient: str, count: int) -> list[Caught]:
    await town.sink.mail_to(recipient, number=count)
    return [mail for mail in town.sink.caught if mail.recipient == recipient]


async def test_lost_id_and_password(town: Town) -> None:
    """The ID by a blank mail, the password by a link; and where the old phone is gone too, by the school's code."""
    sender, new = "kato@ezweb.ne.jp", "kato-new@rakuten.jp"
    await joined(town, sender, "kato-77", "加藤 七海", "カトウ ナナミ")
    town.a_minute_later()
    assert "kato-77" in (await town.mail(sender, "id", number=3)).text
    async with town.phone() as phone:
        await phone.open("/login")
        await phone.follow("パスワードを決め直す")
        await phone.fill(login_id="kato-77")
        await phone.press("リンクを送る")
        assert await phone.says("メールを確かめてください")
        link = town.gate.page((await town.sink.mail_to(sender, number=4)).line("http://"))
        await phone.open(link)
        await town.keep(phone, "lost-reset")
        await phone.fill(password="short")
        await phone.press("このパスワードにする")
        assert await phone.says("8文字以上")
        await phone.fill(password=NEW_PASSWORD)
        await phone.press("このパスワードにする")
        await phone.fill(login_id="kato-77", password=NEW_PASSWORD)
        await phone.press("ログインする")
        assert phone.path == "/me"
        assert (await phone.open(link)).status == 410

    issued = await town.gate.run("registration", "code", "kato-77", "--json")
    async with town.phone() as phone:
        await phone.open(await town.link(new))
        await phone.follow("古いメールアドレスと入れ替える")
        await phone.fill(login_id="kato-77", password=issued["code"])
        await phone.press("次へ進む")
        assert await phone.says("メールアドレスを入れ替えました")
        await town.keep(phone, "lost-replaced")


async def test_code_without_url(town: Town) -> None:
    """A phone that takes no links: a code, typed at the front; its mails hold no link, and an empty reply confirms."""
    sender = "kinoshita@i.softbank.jp"
    answer = await town.mail(sender, "code")
    assert "http" not in answer.text
    (code,) = [line for line in answer.text.split("\n") if line.replace(" ", "").isdecimal() and len(line) == 9]
    async with town.phone() as phone:
        await phone.open("/")
        await phone.fill(short_code="0000 0000")
        await phone.press("次へ進む")
        assert await phone.says("この番号では開けません")
        await phone.fill(short_code=code)
        await phone.press("次へ進む")
        await phone.follow("新規登録の人はこちら")
        await register(town, phone, "kino-8", "木下 八重", "キノシタ ヤエ")
        assert await phone.says("登録が終わりました")
        completion = await town.sink.mail_to(sender, number=2)
        assert b"http" not in completion.content
        assert "http" not in completion.text
        await log_in(phone, "kino-8", PASSWORD)
        assert await phone.says("まだ確認されていません")
        assert (await town.gate.mail(sender, str(completion.message["Reply-To"]))).startswith("250")
        await phone.page.reload()
        assert await phone.says("に確認")
        await phone.follow("保管している情報")
        assert await phone.says("リンクのないメール")
        await town.keep(phone, "no-url-held")


@pytest.mark.parametrize(
    "box, tag, heading", [("en", "en", "You are registered"), ("yasashii", "ja", "登録とうろくが 終おわりました")]
)
async def test_in_another_language(town: Town, box: str, tag: str, heading: str) -> None:
    """A blank mail to the box of a language: mails and pages speak it from then on."""
    sender = f"kurosu-{box}@icloud.com"
    link = town.gate.page(link_in(await town.mail(sender, box)))
    async with town.phone() as phone:
        await phone.open(link)
        await phone.page.locator("a.button").first.click()
        await phone.page.wait_for_url("**/new")
        assert await phone.page.get_attribute("html", "lang") == tag
        await phone.fill(code=town.code, login_id=f"kurosu-{box}", password=PASSWORD, name="Kurosu Kokona", kana="")
        await phone.page.locator("main button").click()
        await phone.page.wait_for_url("**/done")
        written = await phone.page.locator("h1").evaluate("h1 => h1.textContent.replace(/[（）]/g, '')")
        assert written == heading
        await town.keep(phone, f"language-{box}")
        completion = await town.sink.mail_to(sender, number=2)
        assert completion.message["Content-Language"] == tag
        await phone.open(town.gate.page(link_in_copy(completion)))  # a Japanese browser, and yet
        assert await phone.page.get_attribute("html", "lang") == tag
        assert await phone.page.locator("ruby").count() > 0 or tag == "en"
