"""The pages in a real Chromium, the size of a phone and smaller, with JavaScript off.

Every page that is met is kept as a picture in test-artefacts/, to be looked at.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Response, async_playwright

from mailgate.core.broadcast import Kind, State
from mailgate.web.server import WebServer
from tests.web.fakes import (
    COPY_TOKEN,
    EXPIRED_TOKEN,
    GOOD_FORM,
    LETTER_TOKEN,
    PIN,
    STOP_TOKEN,
    TOKEN,
    Site,
    a_broadcast,
)

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SIZES = {"360": (360, 740), "240": (240, 400)}
# What a browser may say: a page that refuses has a status of 400 and more, the icon that it looks for is not there, and who types
# faster than the page is drawn has the focus already.
HARMLESS = (
    "Failed to load resource: the server responded with a status of 4",
    "Failed to load resource: the server responded with a status of 5",
    "Autofocus processing was blocked because a document already has a focused element",
)
# A finger's width, as WCAG 2.2 (2.5.8) wants it at least, in CSS pixels.
TARGET = 24

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}"),
    pytest.mark.asyncio(loop_scope="module"),
]


class Phone:
    """A browser without JavaScript in front of the pages; it minds what a person would mind."""

    def __init__(self, page: Page, site: Site, base: str, size: str, artefacts: Path) -> None:
        self.page = page
        self.site = site
        self._base = base
        self._size = size
        self._artefacts = artefacts
        self.complaints: list[str] = []
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", self._mind)

    async def open(self, path: str) -> Response:
        answer = await self.page.goto(self._base + path)
        assert answer is not None
        return answer

    async def press(self, name: str) -> None:
        async with self.page.expect_navigation():
            await self.page.get_by_role("button", name=name).click()

    async def press_enter(self) -> None:
        async with self.page.expect_navigation():
            await self.page.keyboard.press("Enter")

    async def follow(self, name: str) -> None:
        async with self.page.expect_navigation():
            await self.page.get_by_role("link", name=name).click()

    async def says(self, words: str) -> bool:
        return words in await self.page.inner_text("body")

    @property
    def width(self) -> int:
        return int(self._size)

    @property
    def path(self) -> str:
        return self.page.url.removeprefix(self._base)

    async def keep(self, name: str) -> None:
        """Keep a picture, and look whether everything fits and can be pressed."""
        await self.page.screenshot(path=self._artefacts / f"{name}-{self._size}.png", full_page=True)
        width = await self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= self.width, f"{name} is {width} px wide"
        for target in await self.page.locator("button, .button, input:not([type=hidden]), select").all():
            box = await target.bounding_box()
            if box is not None and await target.get_attribute("type") != "radio":
                assert min(box["height"], box["width"]) >= TARGET
        assert self.complaints == []

    def _listen(self, message: ConsoleMessage) -> None:
        if not message.text.startswith(HARMLESS):
            self.complaints.append(message.text)

    def _mind(self, answer: Response) -> None:
        if "/app.css" in answer.url and not answer.ok:
            self.complaints.append("the style sheet did not come")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(params=list(SIZES), loop_scope="module")
async def phone(request: pytest.FixtureRequest, chromium: Browser, artefacts: Path) -> AsyncIterator[Phone]:
    site = Site(public_url="http://127.0.0.1:8080")
    server = WebServer(site.app)
    port = await server.start("127.0.0.1", 0)
    width, height = SIZES[request.param]
    context = await chromium.new_context(
        viewport={"width": width, "height": height}, java_script_enabled=False, locale="ja-JP"
    )
    yield Phone(await context.new_page(), site, f"http://127.0.0.1:{port}", request.param, artefacts)
    await context.close()
    await server.stop(1)


async def fill(page: Page, **fields: str) -> None:
    for field, value in fields.items():
        if field == "grade":
            await page.select_option("#grade", value)
        else:
            await page.fill(f"#{field}", value)


async def test_a_guardian_types_the_code_mends_the_form_and_registers_two_children(phone: Phone) -> None:
    page = phone.page
    await phone.open("/")
    await phone.keep("front")
    await page.get_by_label("8けたの番号").fill("8765 4321")
    await phone.press("次へ進む")
    assert await phone.says("この番号では開けません")
    await phone.keep("front-fault")
    await page.get_by_label("8けたの番号").fill("1234 5678")
    await phone.press("次へ進む")
    assert phone.path == f"/j/{TOKEN}"
    await phone.keep("landing")
    await phone.follow("新規登録の人はこちら")
    await phone.keep("new")

    await fill(page, **{**GOOD_FORM, "code": "kita 2026", "login_id": "taro", "kana": "ヤマダ@ハナコ", "grade": "4"})
    await page.fill("#password", "12345678")
    await phone.press("この内容で登録する")
    summary = page.get_by_role("alert")
    assert await summary.get_by_role("link").count() == 2
    await page.locator("[role=alert]:focus").wait_for()
    assert await page.input_value("#name") == GOOD_FORM["name"]
    assert await page.input_value("#grade") == "4"
    assert await page.input_value("#password") == ""
    await phone.keep("new-faults")
    await summary.get_by_role("link").first.click()
    assert phone.path.endswith("#password")

    await fill(page, kana="ヤマダ ハナコ", password=GOOD_FORM["password"])
    await phone.press("この内容で登録する")
    assert await phone.says("ほかの方が使っています")
    await phone.keep("new-taken")
    await page.get_by_label("taro2023-1").check()
    await page.fill("#password", GOOD_FORM["password"])
    await phone.press("この内容で登録する")
    assert phone.path == f"/j/{TOKEN}/done"
    assert await phone.says("taro2023-1")
    await phone.keep("done")

    await page.reload()
    assert len(phone.site.join.registered) == 1
    await phone.follow("もう一人のお子さまを登録する")
    assert await page.input_value("#name") == ""
    await fill(page, code="KITA2026", login_id="jiro-y", password="ame-to-kumo", name="山田 次郎")
    await phone.press("この内容で登録する")
    assert await phone.says("山田 次郎")
    await phone.keep("done-two")
    await phone.open(f"/j/{TOKEN}")
    await phone.keep("landing-registered")


async def test_enter_in_a_field_sends_the_form(phone: Phone) -> None:
    await phone.open("/")
    await phone.page.get_by_label("8けたの番号").fill("12345678")
    await phone.press_enter()
    assert phone.path == f"/j/{TOKEN}"


async def test_the_form_is_reached_by_keyboard_in_the_order_it_is_read(phone: Phone) -> None:
    await phone.open(f"/j/{TOKEN}/new")
    reached = []
    for _ in range(13):
        await phone.page.keyboard.press("Tab")
        reached.append(await phone.page.evaluate("document.activeElement.name || document.activeElement.tagName"))
    assert reached == [
        "A",
        "code",
        "login_id",
        "password",
        "name",
        "kana",
        "grade",
        "class_name",
        "kind",
        "label",
        "BUTTON",
        "A",
        "BODY",
    ]


async def test_a_guardian_with_free_mail_is_warned(phone: Phone) -> None:
    phone.site.join.free_mail, phone.site.join.provider = True, "gmail"
    await phone.open(f"/j/{TOKEN}")
    await phone.keep("landing-free-mail")


async def test_a_guardian_reads_a_broadcast_and_presses_once(phone: Phone) -> None:
    await phone.open(f"/k/{COPY_TOKEN}")
    await phone.keep("copy")
    await phone.press("確認しました")
    assert phone.path == f"/k/{COPY_TOKEN}"
    assert await phone.says("確認済みです")
    await phone.keep("copy-confirmed")
    await phone.open(f"/k/{LETTER_TOKEN}")
    await phone.keep("copy-letter")


async def test_a_guardian_stops_and_comes_back(phone: Phone) -> None:
    await phone.open(f"/stop/{STOP_TOKEN}")
    await phone.keep("stop")
    await phone.press("お知らせのメールを止める")
    assert phone.site.stop.is_paused
    await phone.keep("stop-paused")
    await phone.press("もう一度受け取る")
    assert not phone.site.stop.is_paused


async def test_a_teacher_confirms_watches_and_halts(phone: Phone) -> None:
    phone.site.send.broadcast = a_broadcast(warnings=("mail_address", "url"))
    await phone.open(f"/send/{TOKEN}")
    await phone.keep("send-draft")
    await phone.press("この内容で送る")
    assert await phone.says("まだ実行していません")
    await phone.page.fill("#pin", "000000")
    await phone.press("この内容で送る")
    assert await phone.page.input_value("#pin") == ""
    await phone.keep("send-refused")
    await phone.page.fill("#pin", PIN)
    await phone.press_enter()
    assert await phone.says("まもなく送り始めます")
    await phone.keep("send-confirmed")
    counts = {"pending": 300, "leased": 64, "handed_over": 800, "delivered": 50, "bounced": 12, "failed": 8}
    phone.site.send.broadcast = replace(phone.site.send.broadcast, state=State.SENDING, counts=counts)
    await phone.follow("今の状況を見る")
    await phone.keep("send-sending")
    await phone.page.fill("#pin", PIN)
    await phone.press("一時停止する")
    assert phone.site.send.broadcast.state is State.HALTED
    await phone.keep("send-halted")
    phone.site.send.broadcast = a_broadcast(
        state=State.DONE,
        kind=Kind.EMERGENCY,
        done_at=a_broadcast().lapses_at,
        counts={"handed_over": 1184, "delivered": 50},
    )
    await phone.open(f"/send/{TOKEN}")
    await phone.keep("send-done")


async def test_pages_without_a_form_fit(phone: Phone) -> None:
    for name, path, status in (
        ("help", "/help/", 200),
        ("dead-join-invalid", "/j/x", 404),
        ("dead-join-expired", f"/j/{EXPIRED_TOKEN}", 410),
        ("dead-send-invalid", "/send/x", 404),
        ("dead-send-expired", f"/send/{EXPIRED_TOKEN}", 410),
        ("dead-copy", "/k/x", 404),
        ("dead-stop", "/stop/x", 404),
        ("problem-404", "/attic", 404),
    ):
        answer = await phone.open(path)
        assert answer.status == status
        await phone.keep(name)


async def test_refusals_and_faults_fit(phone: Phone) -> None:
    phone.site.join.wrong_codes = 5
    await phone.open(f"/j/{TOKEN}")
    await phone.keep("dead-join-burnt")

    async def stumble(_token: str) -> None:
        raise RuntimeError

    phone.site.reach.copy = stumble  # type: ignore[method-assign, assignment]  # the fault
    await phone.open(f"/k/{COPY_TOKEN}")
    await phone.keep("problem-500")
    for _ in range(25):
        await phone.site.client("127.0.0.1").post("/", data={"short_code": "00000000"})
    await phone.open("/")
    await phone.page.get_by_label("8けたの番号").fill("00000000")
    await phone.press("次へ進む")
    assert await phone.says("まで受け付けられません")
    await phone.keep("problem-429")


async def test_twice_as_large_letters_still_fit(phone: Phone) -> None:
    """A reader who sets larger letters gets all of the page larger: sizes are in rem (WCAG 1.4.4)."""
    await phone.open(f"/j/{TOKEN}/new")
    before = await phone.page.locator("#code").bounding_box()
    await phone.page.evaluate("document.documentElement.style.fontSize = '200%'")
    after = await phone.page.locator("#code").bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] > 1.8 * before["height"]
    assert await phone.page.evaluate("document.documentElement.scrollWidth") <= phone.width
