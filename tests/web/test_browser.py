"""The pages in use, in a real Chromium at a phone's size with JavaScript off: typed into, pressed, gone back from."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from mailgate.core.broadcast import State
from mailgate.web.server import WebServer
from tests.web.browser import Phone, a_browser, a_phone, needs_chromium
from tests.web.fake_keep import UNDO_TOKEN
from tests.web.fakes import COPY_TOKEN, GOOD_FORM, PIN, STOP_TOKEN, TOKEN, Site, a_broadcast
from tests.web.people import OWNER, PASSWORD

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]


@dataclass
class Visit:
    """A phone in front of the pages, and what is behind them."""

    phone: Phone
    site: Site

    @property
    def page(self) -> Page:
        return self.phone.page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with a_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def visit(chromium: Browser) -> AsyncIterator[Visit]:
    site = Site(public_url="http://127.0.0.1:8080")
    server = WebServer(site.app)
    port = await server.start("127.0.0.1", 0)
    try:
        async with a_phone(chromium, f"http://127.0.0.1:{port}") as phone:
            yield Visit(phone, site)
    finally:
        await server.stop(1)


async def test_a_guardian_types_the_code_mends_the_form_and_registers_two_children(visit: Visit) -> None:
    phone, page = visit.phone, visit.page
    await phone.open("/")
    await page.get_by_label("8けたの番号").fill("8765 4321")
    await phone.press("次へ進む")
    assert await phone.says("この番号では開けません")
    await page.get_by_label("8けたの番号").fill("1234 5678")
    await phone.press("次へ進む")
    assert phone.path == f"/j/{TOKEN}"
    await phone.follow("新規登録の人はこちら")

    await phone.fill(**{**GOOD_FORM, "code": "kita 2026", "login_id": "taro", "kana": "ヤマダ@ハナコ", "grade": "4"})
    await phone.fill(password="12345678")
    await phone.press("この内容で登録する")
    summary = page.get_by_role("alert")
    assert await summary.get_by_role("link").count() == 2
    await page.locator("[role=alert]:focus").wait_for()
    assert await page.input_value("#name") == GOOD_FORM["name"]
    assert await page.input_value("#grade") == "4"
    assert await page.input_value("#password") == ""
    await summary.get_by_role("link").first.click()
    assert phone.path.endswith("#password")

    await phone.fill(kana="ヤマダ ハナコ", password=GOOD_FORM["password"])
    await phone.press("この内容で登録する")
    assert await phone.says("ほかの方が使っています")
    await page.get_by_label("taro2023-1").check()
    await phone.fill(password=GOOD_FORM["password"])
    await phone.press("この内容で登録する")
    assert phone.path == f"/j/{TOKEN}/done"
    assert await phone.says("taro2023-1")

    await page.reload()
    assert len(visit.site.join.registered) == 1
    await phone.follow("もう一人のお子さまを登録する")
    assert await page.input_value("#name") == ""
    await phone.fill(code="KITA2026", login_id="jiro-y", password="ame-to-kumo", name="山田 次郎")
    await phone.press("この内容で登録する")
    assert await phone.says("山田 次郎")


async def test_the_back_button_and_a_second_press_register_nobody_twice(visit: Visit) -> None:
    phone, page = visit.phone, visit.page
    await phone.open(f"/j/{TOKEN}/new")
    await phone.fill(**GOOD_FORM)
    await phone.press("この内容で登録する")
    await page.go_back()
    assert phone.path == f"/j/{TOKEN}/new"
    await phone.fill(**GOOD_FORM)
    await phone.press("この内容で登録する")
    assert phone.path == f"/j/{TOKEN}/done"
    assert len(visit.site.join.registered) == 1


async def test_enter_in_a_field_sends_the_form(visit: Visit) -> None:
    await visit.phone.open("/")
    await visit.page.get_by_label("8けたの番号").fill("12345678")
    await visit.phone.press_enter()
    assert visit.phone.path == f"/j/{TOKEN}"


async def test_the_form_is_reached_by_keyboard_in_the_order_it_is_read(visit: Visit) -> None:
    await visit.phone.open(f"/j/{TOKEN}/new")
    reached = []
    for _ in range(17):
        await visit.page.keyboard.press("Tab")
        reached.append(await visit.page.evaluate("document.activeElement.name || document.activeElement.tagName"))
    form = ["code", "login_id", "password", "name", "kana", "grade", "class_name", "kind", "label"]
    assert reached == ["A", "A", "A", *form, "A", "BUTTON", "A", "A", "BODY"]


async def test_a_language_that_is_chosen_stays_from_page_to_page(visit: Visit) -> None:
    phone = visit.phone
    await phone.open("/")
    await phone.follow("English")
    assert phone.path == "/?lang=en"
    await phone.fill(short_code="1234 5678")
    await phone.press("Continue")
    assert phone.path == f"/j/{TOKEN}?lang=en"
    await phone.follow("New registration")
    await phone.fill(**GOOD_FORM)
    await phone.press("Register")
    assert await phone.says("You are registered")
    await phone.follow("日本語")
    assert await phone.says("登録が終わりました")


async def test_a_guardian_reads_a_broadcast_and_presses_once(visit: Visit) -> None:
    phone = visit.phone
    await phone.open(f"/k/{COPY_TOKEN}")
    await phone.press("確認しました")
    assert phone.path == f"/k/{COPY_TOKEN}"
    assert await phone.says("確認済みです")


async def test_a_guardian_stops_and_comes_back(visit: Visit) -> None:
    phone = visit.phone
    await phone.open(f"/stop/{STOP_TOKEN}")
    await phone.press("お知らせのメールを止める")
    assert visit.site.stop.is_paused
    await phone.press("もう一度受け取る")
    assert not visit.site.stop.is_paused


async def test_an_owner_logs_in_looks_changes_and_logs_out(visit: Visit) -> None:
    phone, page = visit.phone, visit.page
    await phone.open("/me")
    assert phone.path == "/login"
    await phone.fill(login_id=OWNER, password="wrong-password")
    await phone.press("ログインする")
    assert await page.input_value("#login_id") == OWNER
    assert await page.input_value("#password") == ""
    await phone.fill(password=PASSWORD)
    await phone.press("ログインする")
    assert phone.path == "/me"
    await phone.follow("お子さまの内容を直す")
    await phone.fill(name="髙橋 𠮷子", grade="4")
    await phone.press("この内容で保存する")
    assert await phone.says("髙橋 𠮷子")
    await phone.follow("「母のスマホ」を直す・外す")
    await phone.fill(label="母の新しいスマホ")
    await phone.press("この呼び名にする")
    assert await phone.says("母の新しいスマホ")
    await phone.follow("ことばを変える")
    await page.get_by_label("English").check()
    await phone.press("この内容で保存する")
    assert await phone.says("The language was changed")
    await phone.press("Log out")
    await page.go_back()
    await page.reload()
    assert phone.path.startswith("/login")


async def test_an_owner_withdraws_after_a_second_look(visit: Visit) -> None:
    phone = visit.phone
    await phone.open("/login")
    await phone.fill(login_id=OWNER, password=PASSWORD)
    await phone.press("ログインする")
    await phone.follow("登録をやめる（退会）")
    await phone.press("次へ進む（まだ消えません）")
    assert await phone.says("本当にやめますか")
    assert visit.site.keep.erased == []
    await phone.fill(password=PASSWORD)
    await phone.press("やめて、記録を消す")
    assert phone.path == "/withdrawn"
    assert visit.site.keep.erased == ["all"]
    await visit.page.go_back()
    await visit.page.reload()
    assert phone.path.startswith(("/login", "/withdrawn"))


async def test_a_form_of_another_tabs_old_login_changes_nothing(visit: Visit) -> None:
    phone, page = visit.phone, visit.page
    await phone.open("/login")
    await phone.fill(login_id=OWNER, password=PASSWORD)
    await phone.press("ログインする")
    await phone.follow("お子さまの内容を直す")
    other = await page.context.new_page()
    await other.goto(page.url.replace("/me/child", "/login"))
    await other.fill("#login_id", OWNER)
    await other.fill("#password", PASSWORD)
    await other.get_by_role("button", name="ログインする").click()
    await other.wait_for_url("**/me")
    await phone.fill(name="別の 名前")
    await phone.press("この内容で保存する")
    assert await phone.says("この画面は古くなりました")
    assert visit.site.keep.owner.pupil_name == "山田 花子"
    await phone.follow("登録内容を開き直す")
    assert phone.path == "/me"


async def test_an_undo_leads_to_a_new_password_and_the_login(visit: Visit) -> None:
    phone = visit.phone
    await phone.open(f"/undo/{UNDO_TOKEN}")
    await phone.press("変更を元に戻す")
    assert await phone.says("新しいパスワードを決める")
    await phone.fill(password="atarashii-ame")
    await phone.press("このパスワードにする")
    assert phone.path == "/login?news=password"
    await phone.open(f"/undo/{UNDO_TOKEN}")
    assert await phone.says("変更は元に戻っています")


async def test_a_teacher_confirms_watches_and_halts(visit: Visit) -> None:
    phone, page = visit.phone, visit.page
    await phone.open(f"/send/{TOKEN}")
    await phone.press("この内容で送る")
    assert await phone.says("まだ実行していません")
    await phone.fill(pin="000000")
    await phone.press("この内容で送る")
    assert await page.input_value("#pin") == ""
    await phone.fill(pin=PIN)
    await phone.press_enter()
    assert await phone.says("まもなく送り始めます")
    counts = {"pending": 300, "leased": 64, "handed_over": 800, "delivered": 50, "bounced": 12, "failed": 8}
    visit.site.send.broadcast = replace(a_broadcast(), state=State.SENDING, counts=counts)
    await phone.follow("今の状況を見る")
    await phone.fill(pin=PIN)
    await phone.press("一時停止する")
    assert visit.site.send.broadcast.state is State.HALTED


async def test_after_too_many_wrong_codes_the_page_says_until_when(visit: Visit) -> None:
    for _ in range(25):
        await visit.site.client("127.0.0.1").post("/", data={"short_code": "00000000"})
    await visit.phone.open("/")
    await visit.phone.fill(short_code="00000000")
    await visit.phone.press("次へ進む")
    assert await visit.phone.says("まで受け付けられません")
