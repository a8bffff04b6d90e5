"""Texts: every sentence of the pages, one catalogue for each language, and how a sentence becomes HTML.

A catalogue is a TOML file in `templates/web/texts`; a text is known by its place in it (`front.title`). Templates hold no words, so one
template serves all languages. A text that is missing is an error at once, and a guard finds it before that.

A text is plain, with four marks: `**strong**`, `[words](target)`, a fact in braces, and a reading in the manner of printed Japanese,
漢字《かんじ》, which becomes a ruby (`｜` begins what the reading stands over where that is not a run of kanji). A target is a path of
ours, which then carries the reader's choice of language, or an address with facts in it. Facts are escaped, texts are ours and are not.

Easy Japanese has short sentences and a reading over every kanji. A browser that asks for neither Japanese nor English gets it.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from mailgate.core.instants import Instant, to_datetime
from mailgate.core.readers import TAG, Language

_READING: Final = re.compile(r"(?:｜([^｜《》]+)|([\u3400-\u9fff々]+))《([^《》]+)》")
_STRONG: Final = re.compile(r"\*\*(.+?)\*\*")
_LINK: Final = re.compile(r"\[([^\[\]]+)\]\(([^()\s]+)\)")
_SLOT: Final = re.compile(r"\{([^{}]+)\}")
_JAPANESE: Final = re.compile(r"[「『（]?[\u3040-\u30ff\u3400-\u9fff々][\u3000-\u30ff\u3400-\u9fff（）]*")

# Two end tags may be left out (HTML, 13.1.2.4), which on a page full of readings is a fifth of it. <rp> is for what draws no ruby.
_RUBY: Final = r"<ruby>{}<rp>（<rt>{}<rp>）</ruby>"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All texts of a language: as they were written, as HTML, and what stands below a key, in order."""

    language: Language
    plain: Mapping[str, str]
    html: Mapping[str, str]
    below: Mapping[str, tuple[str, ...]]


@cache
def load(folder: Path, language: Language) -> Catalogue:
    """Read a language's catalogue."""
    tree = tomllib.loads((folder / f"{language}.toml").read_text(encoding="utf-8"))
    plain: dict[str, str] = {}
    below: dict[str, tuple[str, ...]] = {}
    for key, value in _walk("", tree):
        if isinstance(value, str):
            plain[key] = value
        else:
            below[key] = value
    html = {key: _html(text, foreign=TAG[language] != "ja") for key, text in plain.items()}
    return Catalogue(language, {key: _bare(text) for key, text in plain.items()}, html, below)


class Tongue:
    """A language on one reader's page; `chosen`: by name, so that the links of the page go on in it."""

    def __init__(self, catalogue: Catalogue, *, chosen: bool, standing: Mapping[str, object], zone: ZoneInfo) -> None:
        self.language: Final = catalogue.language
        self.lang: Final = TAG[catalogue.language]
        # For what is Japanese on every page: names of schools, what schools write.
        self.ja: Final = Html("" if self.lang == "ja" else ' lang="ja"')
        self.chosen: Final = chosen
        self._catalogue = catalogue
        self._standing = standing
        self._zone = zone

    def __call__(self, key: str, **facts: object) -> Html:
        """A text as HTML.

        Raises:
            KeyError: there is no such text, or a fact that it names was not given.
        """
        return Html(_SLOT.sub(lambda slot: escape_once(self._fact(slot[1], facts)), self._catalogue.html[key]))

    def plain(self, key: str, **facts: object) -> str:
        """A text without readings and marks: for titles, attributes and options."""
        return _SLOT.sub(lambda slot: str(self._fact(slot[1], facts)), self._catalogue.plain[key])

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._catalogue.plain

    def below(self, key: str) -> tuple[str, ...]:
        """The keys right below a key, in the order of the catalogue; none if there is nothing."""
        return self._catalogue.below.get(key, ())

    def url(self, path: str) -> str:
        """A path of ours as this reader's links have it."""
        if not self.chosen:
            return path
        page, mark, place = path.partition("#")
        return f"{page}{'&' if '?' in page else '?'}lang={self.language}{mark}{place}"

    def day(self, instant: Instant) -> Html:
        """A day: 2026年1月2日（金）."""
        moment = self._local(instant)
        return self(
            "date.day",
            year=moment.year,
            month=moment.month,
            month_name=self._name("date.month_names", moment.month - 1),
            day=moment.day,
            day_name=self._name("date.day_names", moment.day - 1),
            weekday=self._name("date.weekdays", moment.weekday()),
        )

    def date(self, instant: Instant) -> Html:
        """A day where many of them stand: 2026年1月2日."""
        moment = self._local(instant)
        month_name = self._name("date.month_names", moment.month - 1)
        return self("date.date", year=moment.year, month=moment.month, month_name=month_name, day=moment.day)

    def month(self, instant: Instant) -> Html:
        """A month: 2026年1月."""
        moment = self._local(instant)
        month_name = self._name("date.month_names", moment.month - 1)
        return self("date.month", year=moment.year, month=moment.month, month_name=month_name)

    def clock(self, instant: Instant) -> Html:
        """A time of day: 9時5分."""
        moment = self._local(instant)
        key = "date.minute" if moment.minute else "date.hour"
        return self(key, hour=moment.hour, minute=moment.minute, minute2=f"{moment.minute:02}")

    def when(self, instant: Instant) -> Html:
        """A day and its time."""
        return self("date.when", day=self.day(instant), clock=self.clock(instant))

    def _fact(self, name: str, facts: Mapping[str, object]) -> object:
        if name.startswith("/"):
            return self.url(name)
        return facts[name] if name in facts else self._standing[name]

    def _name(self, key: str, number: int) -> Html:
        """The name of a month or a day, where the language has names for them."""
        names = self.below(key)
        return self(names[number]) if names else Html(number + 1)

    def _local(self, instant: Instant) -> datetime:
        return to_datetime(instant).astimezone(self._zone)


def preferred(accepted: str) -> Language:
    """The language for an Accept-Language header (RFC 9110, 12.5.4); without one: Japanese."""
    best = 0.0, Language.JA
    for asked in accepted[:200].split(","):
        tag, _, weight = asked.partition(";")
        language = _ANSWERS.get(tag.strip().lower().partition("-")[0])
        if language is not None and (heft := _heft(weight)) > best[0]:
            best = heft, language
    return best[1] if best[0] or not accepted.strip(" *,") else Language.EASY


def escape_once(value: object) -> str:
    """HTML as it is, anything else escaped."""
    return value if isinstance(value, Html) else escape(str(value))


_ANSWERS: Final[Mapping[str, Language]] = {"ja": Language.JA, "en": Language.EN}


def _heft(weight: str) -> float:
    found = re.fullmatch(r"\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*", weight)
    return 1.0 if not weight.strip() else float(found[1]) if found else 0.0


def _walk(key: str, value: object) -> Iterator[tuple[str, str | tuple[str, ...]]]:
    """Every text of a tree by its place, and the keys below every other place."""
    match value:
        case str():
            yield key, value
            return
        case list():
            children = {str(number): child for number, child in enumerate(value)}
        case dict():
            children = value
        case _:
            raise TypeError(f"{key} is no text")
    places = {name: f"{key}.{name}" if key else name for name in children}
    yield key, tuple(places.values())
    for name, child in children.items():
        yield from _walk(places[name], child)


def _html(text: str, *, foreign: bool) -> str:
    html = escape(text, quote=False)
    if foreign:  # which words of an English sentence are Japanese (WCAG 3.1.2)
        html = _JAPANESE.sub(r'<span lang="ja">\g<0></span>', html)
    html = _READING.sub(lambda found: _RUBY.format(found[1] or found[2], found[3]), html)
    html = _STRONG.sub(r"<strong>\1</strong>", html)
    html = _LINK.sub(lambda link: f'<a href="{_target(link[2])}">{link[1]}</a>', html)
    return html.replace("\n", "<br>")


def _target(target: str) -> str:
    return f"{{{target}}}" if target.startswith("/") else target


def _bare(text: str) -> str:
    text = _READING.sub(lambda found: found[1] or found[2], text)
    return _LINK.sub(r"\1", _STRONG.sub(r"\1", text))
