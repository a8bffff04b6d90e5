"""What holds for every page in every state and language."""

import re
from collections.abc import Mapping

import httpx
import pytest

from mailgate.core.readers import TAG, Language
from mailgate.places import folder
from tests.web.people import PASSWORD
from tests.web.scenes import SCENES, Scene, gallery

MAX_OCTETS = 20_000
CSS = (folder("templates") / "web" / "app.css").read_bytes()
ERROR = {Language.JA: "エラー：", Language.EASY: "エラー：", Language.EN: "Error: "}
OURS = re.compile(r"(?:touroku|yasashii|en|code|id|renraku)@gate\.example\.jp")


Shown = Mapping[Language, httpx.Response]


@pytest.fixture(params=SCENES, ids=lambda scene: str(scene.name))
def scene(request: pytest.FixtureRequest) -> Scene:
    played: Scene = request.param
    return played


@pytest.fixture
async def shown(scene: Scene) -> Shown:
    """A scene in its languages."""
    pages = await gallery()
    return {language: pages[f"{scene.name}.{language}"] for language in scene.languages}


def test_names_are_used_once() -> None:
    assert len({scene.name for scene in SCENES}) == len(SCENES)


def test_every_template_of_a_page_is_in_a_scene() -> None:
    spelt = " ".join(path.read_text(encoding="utf-8") for path in (folder("templates").parent / "mailgate" / "web").glob("*.py"))
    for path in (folder("templates") / "web").glob("*.html"):
        if path.stem not in ("base", "parts"):
            assert f'"{path.stem}"' in spelt or f'"{path.name}"' in spelt, path.name


def test_a_page_is_what_the_scene_says_and_small(scene: Scene, shown: Shown) -> None:
    for page in shown.values():
        assert page.status_code == scene.status
        assert len(page.content) + len(CSS) < MAX_OCTETS


def test_a_page_has_one_heading_a_title_and_its_language(shown: Shown) -> None:
    for language, page in shown.items():
        assert f'<html lang="{TAG[language]}">' in page.text
        assert len(re.findall(r"<h1\b", page.text)) == 1
        title = re.search(r"<title>([^<]+) - 学校メール</title>", page.text)
        assert title is not None
        assert title[1].strip()
        assert page.headers["vary"] == "Accept-Language"


def test_a_page_has_nothing_that_the_policy_would_block(shown: Shown) -> None:
    for page in shown.values():
        assert not re.search(r"<script|<style|\bstyle=|\son[a-z]+=|javascript:|https?://", page.text)
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"


def test_every_input_has_a_label_and_every_reference_a_target(shown: Shown) -> None:
    for page in shown.values():
        ids = re.findall(r'\bid="([^"]+)"', page.text)
        assert len(ids) == len(set(ids))
        for tag in re.findall(r"<(?:input|select)\b[^>]*>", page.text):
            if 'type="hidden"' not in tag and 'type="radio"' not in tag:
                named = re.search(r'\bid="([^"]+)"', tag)
                assert named is not None
                assert f'<label for="{named[1]}">' in page.text
        for referred in re.findall(r'\b(?:for|aria-labelledby)="([^"]+)"|href="#([^"]+)"', page.text):
            assert "".join(referred) in ids
        for described in re.findall(r'aria-describedby="([^"]+)"', page.text):
            assert set(described.split()) <= set(ids)


def test_no_page_holds_a_password_or_an_address_of_anybody(shown: Shown) -> None:
    for page in shown.values():
        assert PASSWORD not in page.text
        bare = re.sub(r'value="[^"]*"', "", page.text)  # what somebody wrote into a field comes back to them
        assert re.findall(r"[\w.+-]+@[\w.-]+", OURS.sub("", bare)) == []


def test_a_page_offers_the_other_languages_and_stays_in_the_one_that_was_asked_for(scene: Scene, shown: Shown) -> None:
    if scene.staff:
        return
    for language, page in shown.items():
        assert set(re.findall(r'<a href="\?lang=(\w+)"', page.text)) == set(Language) - {language}
        for path in re.findall(r'(?:href|action)="(/[^"]*)"', page.text):
            if not path.startswith("/app.css") and path != "/me/withdraw":  # that form carries it in a field
                assert f"lang={language}" in path
        assert page.text.count('<form method="get"') == page.text.count(f'name="lang" value="{language}"')


def test_what_went_wrong_is_said_first_and_announced(shown: Shown) -> None:
    for language, page in shown.items():
        wrong = page.status_code in (409, 422) or (page.status_code == 429 and 'aria-invalid="true"' in page.text)
        assert ('role="alert"' in page.text) == wrong
        if not wrong:
            return
        assert page.text.index('role="alert" tabindex="-1" autofocus') < page.text.index("<h1")
        assert f"<title>{ERROR[language]}" in page.text


def test_readings_are_closed_where_a_program_draws_none(shown: Shown) -> None:
    for language, page in shown.items():
        rubies = re.findall(r"<ruby>(.*?)</ruby>", page.text, re.DOTALL)
        assert bool(rubies) == (language is Language.EASY)
        for ruby in rubies:
            assert re.fullmatch(r"[^<>]+<rp>（<rt>[ぁ-んァ-ヶー]+<rp>）", ruby)
