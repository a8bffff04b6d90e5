"""The catalogues are whole and alike, every text is used, and templates hold no words of their own."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mailgate.core.instants import HOUR, MINUTE, later
from mailgate.core.readers import Language
from mailgate.core.registration import Fault
from mailgate.journeys.keep import HELD
from mailgate.places import folder
from mailgate.web import texts
from mailgate.web.texts import Catalogue, Html, Tongue, load, preferred
from tests.fakes import NEW_YEAR_2026

WEB = folder("templates") / "web"
TEMPLATES = sorted(WEB.glob("*.html"))
MODULES = sorted(Path(texts.__file__).parent.glob("*.py"))
CATALOGUES = {language: load(WEB / "texts", language) for language in Language}
JA = CATALOGUES[Language.JA]

# How a day is written has other parts in every language; staff read Japanese.
OWN = ("date.", "send.", "dead.send.")

KANJI = r"[\u3400-\u9fff々]"


def written(language: Language) -> Mapping[str, str]:
    """The texts as they stand in the file, marks and all."""
    tree = tomllib.loads((WEB / "texts" / f"{language}.toml").read_text(encoding="utf-8"))
    return dict(_leaves("", tree))


def _leaves(key: str, value: object) -> Iterator[tuple[str, str]]:
    match value:
        case str():
            yield key, value
        case list() | dict():
            children = value.items() if isinstance(value, dict) else enumerate(value)
            for name, child in children:
                yield from _leaves(f"{key}.{name}" if key else str(name), child)


def common(catalogue: Catalogue) -> set[str]:
    return {key for key in catalogue.plain if not key.startswith(OWN)}


@pytest.mark.parametrize("language", [Language.EASY, Language.EN])
def test_every_language_has_every_text(language: Language) -> None:
    assert common(CATALOGUES[language]) ^ common(JA) == set()


@pytest.mark.parametrize("language", [Language.EASY, Language.EN])
def test_a_text_names_the_same_facts_and_leads_to_the_same_pages_in_every_language(language: Language) -> None:
    theirs, japanese = written(language), written(Language.JA)
    for key in common(JA):
        for mark in (r"\{([^{}]+)\}", r"\]\(([^()\s]+)\)"):
            assert set(re.findall(mark, japanese[key])) == set(re.findall(mark, theirs[key])), key


def test_easy_japanese_has_a_reading_over_every_kanji() -> None:
    for key, text in written(Language.EASY).items():
        bare = re.sub(rf"(?:｜[^｜《》]+|{KANJI}+)《[^《》]+》", "", text)
        assert not re.search(KANJI, bare), (key, bare)
        for reading in re.findall(r"《([^《》]+)》", text):
            assert re.fullmatch("[ぁ-んァ-ヶー]+", reading), (key, reading)


def test_easy_japanese_has_short_sentences() -> None:
    for key, text in written(Language.EASY).items():
        bare = re.sub(r"《[^《》]+》|\]\([^)]*\)|\{[^}]*\}|[｜*\[]", "", text)
        for sentence in re.split("。|：|（|、", bare):
            assert len(sentence) <= 50, (key, sentence)


def test_the_other_catalogues_have_no_readings() -> None:
    for language in (Language.JA, Language.EN):
        assert not any("《" in text for text in written(language).values())


# What the templates ask for

_QUOTED = re.compile(r'"([a-z_]+(?:\.[a-z0-9_-]+)+\.?|[a-z_]+\.)"')


def keys_in(source: str) -> set[str]:
    """Keys of texts that a template or a module spells; one that ends in a point is the beginning of several."""
    return {key for key in _QUOTED.findall(source) if key.partition(".")[0] in JA.below[""] and not key.endswith(".html")}


SPELT = set[str]().union(
    *(keys_in(path.read_text(encoding="utf-8")) for path in (*TEMPLATES, *MODULES)),
)


def test_every_text_that_is_asked_for_is_there() -> None:
    known = set[str]().union(*({*catalogue.plain, *catalogue.below} for catalogue in CATALOGUES.values()))
    for key in SPELT:
        assert key in known or (key.endswith(".") and any(name.startswith(key) for name in known)), key


def test_every_text_is_asked_for() -> None:
    beginnings = tuple(key if key.endswith(".") else f"{key}." for key in SPELT)
    assert [key for key in JA.plain if key not in SPELT and not key.startswith(beginnings)] == []


@pytest.mark.parametrize(
    "source, keys",
    [
        ('{{ t("front.title") }}', {"front.title"}),
        ('{{ t("send.state." ~ view.state) }}', {"send.state."}),
        ('{{ t("stop.paused" if paused else "stop.title") }}', {"stop.paused", "stop.title"}),
        ('{% extends "base.html" %}{{ page("a.b") }}', set()),
    ],
)
def test_keys_are_found_where_they_are_spelt(source: str, keys: set[str]) -> None:
    assert keys_in(source) == keys


def test_every_fault_has_words_at_every_field() -> None:
    for catalogue in CATALOGUES.values():
        for fault in [*Fault, "wrong_login", "wrong_password", "wait", "already", "proof_over"]:
            assert f"fault.any.{fault}" in catalogue.plain
    for key in JA.below["fault"]:
        assert {name.rpartition(".")[2] for name in JA.below[key]} <= {
            name.rpartition(".")[2] for name in JA.below["fault.any"]
        } | {"not_a_code", "unknown_short_code"}


def test_everything_that_may_be_held_has_a_name() -> None:
    assert {key.rpartition(".")[2] for key in JA.below["held.what"]} == set(HELD)


class _Words(HTMLParser):
    """What a person would read of a template if nothing were filled in."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found += re.findall(r"[^\W\d_]+", data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("aria-label", "title", "alt", "placeholder"):
                self.found += re.findall(r"[^\W\d_]+", value or "")


def words_in(source: str) -> list[str]:
    reader = _Words()
    bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.DOTALL)
    reader.feed(re.sub(r' aria-(?:describedby|invalid)="[^"]*"', "", bare))  # some stand in a macro, outside a tag
    return reader.found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.name))
def test_a_template_holds_no_words(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert words_in(source) == []
    assert not re.search(r"[\u3040-\u30ff\u3400-\u9fff]", re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL))


@pytest.mark.parametrize("source", ["<p>確認</p>", "<p>ok</p>", '<a title="x">{{ t("a") }}</a>', "{% if a %}<b>Save</b>{% endif %}"])
def test_a_word_in_a_template_is_found(source: str) -> None:
    assert words_in(source)


# Every question of the leaflet is answered: what it asks about, and the words of ours that answer

LEAFLET = {
    "cost": "無料",
    "unregistered": "電話をかけます",
    "content": "臨時休業",
    "often": "月に1回ほど",
    "seen": "見ることができません",
    "free-mail": "お勧めしません",
    "how-many": "{max_addresses}件",
    "siblings": "別のログインID",
    "qr": "空メール",
    "login": "上のQRコード",
    "send": "1文字入れる",
    "no-mail": "受け取る設定",
    "taken": "ほかの方が先に使っています",
    "grade": "学年は学校が新しくします",
    "leaving": "学校が登録を消します",
}


def test_every_question_of_the_leaflet_is_answered() -> None:
    assert [key.rpartition(".")[2] for key in JA.below["faq.items"]] == list(LEAFLET)
    for question, words in LEAFLET.items():
        assert words in JA.plain[f"faq.items.{question}.a"]
        for catalogue in CATALOGUES.values():
            assert {f"faq.items.{question}.q", f"faq.items.{question}.a"} <= set(catalogue.plain)


# How a text becomes HTML


def a_tongue(written: Mapping[str, str], *, language: Language = Language.JA, chosen: bool = False) -> Tongue:
    catalogue = Catalogue(
        language=language,
        plain={key: texts._bare(text) for key, text in written.items()},
        html={key: texts._html(text, foreign=language is Language.EN) for key, text in written.items()},
        below={},
    )
    return Tongue(catalogue, chosen=chosen, standing={"domain": "gate.example.jp"}, zone=ZoneInfo("Asia/Tokyo"))


@pytest.mark.parametrize(
    "text, html, plain",
    [
        ("a < b & c", "a &lt; b &amp; c", "a < b & c"),
        ("**とても**大切", "<strong>とても</strong>大切", "とても大切"),
        ("[ページ](/help/)へ", '<a href="/help/">ページ</a>へ', "ページへ"),
        ("[{who}](mailto:{who})", '<a href="mailto:a&quot;b">a&quot;b</a>', 'a"b'),
        ("届《とど》く", "<ruby>届<rp>（<rt>とど<rp>）</ruby>く", "届く"),
        ("｜1日《ついたち》", "<ruby>1日<rp>（<rt>ついたち<rp>）</ruby>", "1日"),
        ("{domain} と {who}", "gate.example.jp と a&quot;b", 'gate.example.jp と a"b'),
        ("一行\n二行", "一行<br>二行", "一行\n二行"),
    ],
)
def test_the_marks_of_a_text(text: str, html: str, plain: str) -> None:
    tongue = a_tongue({"x": text})
    assert (tongue("x", who='a"b'), tongue.plain("x", who='a"b')) == (html, plain)


def test_what_is_html_already_stays_and_what_is_not_is_escaped() -> None:
    tongue = a_tongue({"x": "{a}{b}"})
    assert tongue("x", a=Html("<b>"), b="<b>{domain}") == "<b>&lt;b&gt;{domain}"


def test_japanese_words_in_an_english_sentence_say_so() -> None:
    assert a_tongue({"x": "the sheet (登録手順書)."}, language=Language.EN)("x") == (
        'the sheet (<span lang="ja">登録手順書</span>).'
    )


def test_a_text_or_a_fact_that_is_missing_is_an_error() -> None:
    tongue = a_tongue({"x": "{who}"})
    for key in ("x", "y"):
        for ask in (tongue, tongue.plain):
            with pytest.raises(KeyError):
                ask(key)


def test_a_catalogue_that_holds_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "en.toml").write_text("[front]\ntitle = 1\n")
    with pytest.raises(TypeError, match=r"front\.title"):
        load(tmp_path, Language.EN)


@pytest.mark.parametrize(
    "path, with_choice",
    [("/", "/?lang=en"), ("/me?news=label", "/me?news=label&lang=en"), ("/help/faq#cost", "/help/faq?lang=en#cost")],
)
def test_a_choice_of_language_travels_in_the_address(path: str, with_choice: str) -> None:
    assert a_tongue({}, language=Language.EN).url(path) == path
    assert a_tongue({}, language=Language.EN, chosen=True).url(path) == with_choice
    link = a_tongue({"x": f"[y]({path})"}, language=Language.EN, chosen=True)("x")
    assert link == f'<a href="{with_choice.replace("&", "&amp;")}">y</a>'


@pytest.mark.parametrize(
    "language, day, when",
    [
        (Language.JA, "2026年1月1日（木）", "2026年1月1日（木）9時5分"),
        (Language.EN, "Thursday, 1 January 2026", "Thursday, 1 January 2026, 9:05"),
        (Language.EASY, "2026年1月1日（木）", "2026年1月1日（木） 9:05"),
    ],
)
def test_days_and_times_are_local_and_in_the_language(language: Language, day: str, when: str) -> None:
    tongue = Tongue(CATALOGUES[language], chosen=False, standing={}, zone=ZoneInfo("Asia/Tokyo"))
    moment = later(NEW_YEAR_2026, 9 * HOUR + 5 * MINUTE)

    def bare(html: str) -> str:
        return re.sub(r"<rp>（<rt>[^<]*<rp>）|<[^>]+>", "", html)

    assert (bare(tongue.day(moment)), bare(tongue.when(moment))) == (day, when)


@pytest.mark.parametrize(
    "accepted, language",
    [
        ("", "ja"),
        ("*", "ja"),
        ("ja", "ja"),
        ("ja-JP,ja;q=0.9,en-US;q=0.8", "ja"),
        ("en-US,en;q=0.9,ja;q=0.8", "en"),
        ("en;q=0.5, ja;q=0.7", "ja"),
        ("vi-VN,vi;q=0.9", "easy"),
        ("vi-VN,vi;q=0.9,en;q=0.3", "en"),
        ("pt-BR, ja;q=0", "easy"),
        ("en;q=x, ja;q=0.1", "ja"),
        ("en;q=9" + ",ja" * 500, "ja"),
        ("\x00;;,,=", "easy"),
    ],
)
def test_the_browsers_language_is_taken_where_it_is_ours(accepted: str, language: str) -> None:
    assert preferred(accepted) == language
