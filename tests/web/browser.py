"""A phone in somebody's hand: a real Chromium, the size of a phone, with JavaScript off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Response, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
WIDTH, HEIGHT = 360, 740
NARROW = 240  # the least that a page has to fit into

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}")

# What a browser may say: a page that refuses has a status of 400 and more, the icon that it looks for is not there, and who types
# faster than the page is drawn has the focus already.
_HARMLESS = (
    "Failed to load resource: the server responded with a status of 4",
    "Failed to load resource: the server responded with a status of 5",
    "Autofocus processing was blocked because a document already has a focused element",
)


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """One browser, for as many phones as there are."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


class Phone:
    """Somebody with a browser without JavaScript; it minds what a person would mind."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self._base = base
        self.complaints: list[str] = []
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("response", self._mind)

    async def open(self, path: str) -> Response:
        answer = await self.page.goto(self._base + path if path.startswith("/") else path)
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

    async def fill(self, **fields: str) -> None:
        """Type into fields by their names; choose where there is a choice."""
        for field, value in fields.items():
            if field == "grade":
                await self.page.select_option("#grade", value)
            elif field == "kind":
                await self.page.check(f'[name=kind][value="{value}"]')
            else:
                await self.page.fill(f"#{field}", value)

    async def says(self, words: str) -> bool:
        return words in await self.page.inner_text("body")

    @property
    def path(self) -> str:
        return self.page.url.removeprefix(self._base)

    def _listen(self, message: ConsoleMessage) -> None:
        if not message.text.startswith(_HARMLESS):
            self.complaints.append(message.text)

    def _mind(self, answer: Response) -> None:
        if "/app.css" in answer.url and not answer.ok:
            self.complaints.append("the style sheet did not come")


@asynccontextmanager
async def a_phone(browser: Browser, base: str) -> AsyncIterator[Phone]:
    """A phone of its own: no cookies of anybody else's. What its pages complained of is a failure."""
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT}, java_script_enabled=False, locale="ja-JP"
    )
    phone = Phone(await context.new_page(), base)
    yield phone
    await context.close()
    assert not phone.complaints, phone.complaints
