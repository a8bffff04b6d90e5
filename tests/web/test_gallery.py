"""Every page in every state and language, in a real Chromium: it fits, it can be pressed, and axe-core has nothing to say.

A picture of each is kept in test-artefacts/, to be looked at.
"""

import asyncio
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route

from mailgate.core.readers import Language
from tests.web.browser import HEIGHT, NARROW, WIDTH, a_browser, needs_chromium
from tests.web.fakes import a_view
from tests.web.scenes import SCENES, Scene, gallery

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
# The pages have no script of their own, and their policy lets none in: what is run here comes in by the debugger.
RUN_AXE = "axe.run({resultTypes: ['violations', 'incomplete']})"
# A finger's width, as WCAG 2.2 (2.5.8) wants it at least, in CSS pixels; what stands in a line of text is exempt.
TARGET = 24
SMALL_TARGETS = f"""
    [...document.querySelectorAll("button, .button, input:not([type=hidden], [type=radio]), select, .pick, nav a, footer a, .roads a")]
      .map(element => [element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
      .filter(([_, box]) => box.width < {TARGET} || box.height < {TARGET})
      .map(([html, _]) => html)
"""
ORIGIN = "https://touroku.example.jp"

pytestmark = [needs_chromium, pytest.mark.asyncio(loop_scope="module")]


class Wall:
    """A page of a browser for each language, in which scenes are hung up one after the other."""

    def __init__(self, pages: dict[Language, Page]) -> None:
        self.pages = pages


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wall() -> AsyncIterator[Wall]:
    played = await gallery()
    css = bytes(a_view().css().body)

    async def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path == "/app.css":
            await route.fulfill(body=css, content_type="text/css")
        elif (scene := played.get(path.removeprefix("/"))) is not None:
            await route.fulfill(status=scene.status_code, headers=dict(scene.headers), body=scene.content)
        else:
            await route.fulfill(status=404, body="")  # the icon

    async with a_browser() as browser:
        yield Wall({language: await _page(browser, answer) for language in Language})


async def _page(browser: Browser, answer: object) -> Page:
    context = await browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    page = await context.new_page()
    await page.route("**/*", answer)  # type: ignore[arg-type]  # a handler, as above
    return page


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: str(scene.name))
async def test_a_page_fits_can_be_pressed_and_is_open_to_everybody(scene: Scene, wall: Wall, artefacts: Path) -> None:
    """In all its languages at once: they are the same page."""
    await asyncio.gather(
        *(_look(wall.pages[language], f"{scene.name}.{language}", artefacts) for language in scene.languages)
    )


async def _look(page: Page, name: str, artefacts: Path) -> None:
    await page.goto(f"{ORIGIN}/{name}")
    await page.screenshot(path=artefacts / f"{name}.png", full_page=True)
    assert await page.evaluate(SMALL_TARGETS) == []
    await page.evaluate(AXE)
    found = await page.evaluate(RUN_AXE)
    assert [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in found["violations"]] == []
    assert [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in found["incomplete"]] == []
    assert await _width(page) <= WIDTH
    # Twice as large letters, and half the width, which is what a reader with a magnifier has (WCAG 1.4.4, 1.4.10).
    await page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert await _width(page) <= WIDTH
    await page.evaluate("document.documentElement.style.fontSize = ''")
    await page.set_viewport_size({"width": NARROW, "height": HEIGHT})
    assert await _width(page) <= NARROW
    await page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


async def _width(page: Page) -> int:
    return int(await page.evaluate("document.documentElement.scrollWidth"))


async def test_axe_is_awake(wall: Wall) -> None:
    """A page with a fault is found."""
    page = wall.pages[Language.EN]
    await page.goto(f"{ORIGIN}/front.en")
    await page.evaluate("document.querySelector('label').remove(); document.documentElement.lang = ''")
    await page.evaluate(AXE)
    found = await page.evaluate(RUN_AXE)
    assert {"label", "html-has-lang"} <= {fault["id"] for fault in found["violations"]}
