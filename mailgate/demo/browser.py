"""A person's browser, as far as the gate's pages need one: it gets a page, fills its form and sends it, following what a POST answers.

A form is sent as the page gave it, hidden fields, chosen options and checked buttons included; only what the person typed differs. Nothing
is opened but the link from a mail, links on its page, and where a form leads.
"""

import asyncio
import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlencode, urljoin, urlsplit

from mailgate.demo.story import Amiss

_PATIENCE_S: Final = 30.0
_UNSENT: Final = frozenset({"submit", "button", "reset", "image", "file"})
_FORM_HEADERS: Final = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Origin": "null",  # what a browser says under Referrer-Policy: no-referrer
    "Sec-Fetch-Site": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form with what it would send if nobody touched it, and what there is to choose from."""

    action: str
    values: dict[str, str]
    choices: dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a browser shows; `faults` are the sentences beside wrong fields."""

    url: str
    status: int
    html: str = field(repr=False)
    forms: tuple[Form, ...]
    links: tuple[str, ...]
    faults: tuple[str, ...]
    redirected: bool

    def says(self, words: str) -> bool:
        """Whether the page says this."""
        return words in self.html

    @property
    def form(self) -> Form:
        """The page's one form."""
        if len(self.forms) != 1:
            raise Amiss(f"a page has {len(self.forms)} forms and should have one; its status is {self.status}")
        return self.forms[0]


async def get(url: str) -> Page:
    """Open a page.

    Raises:
        Amiss: there is none.
    """
    page = await asyncio.to_thread(_open, url, None)
    if page.status != 200:
        raise Amiss(f"a page that should open answers {page.status}")
    return page


async def send(page: Page, typed: Mapping[str, str]) -> Page:
    """Fill the page's form and send it; what it leads to."""
    form = page.form
    return await asyncio.to_thread(_open, urljoin(page.url, form.action), urlencode({**form.values, **typed}))


def _open(url: str, body: str | None) -> Page:
    page, location = _request(url, body)
    return _request(urljoin(url, location), None, redirected=True)[0] if page.status == 303 else page


def _request(url: str, body: str | None, *, redirected: bool = False) -> tuple[Page, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE_S)
    try:
        method, headers = ("GET", {}) if body is None else ("POST", _FORM_HEADERS)
        connection.request(method, parts.path or "/", body, headers)
        response = connection.getresponse()
        html = response.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise Amiss(f"a page cannot be reached: {type(error).__name__} {error}") from error
    finally:
        connection.close()
    reader = _Reader(url)
    reader.feed(html)
    page = Page(
        url=url,
        status=response.status,
        html=html,
        forms=tuple(reader.forms),
        links=tuple(reader.links),
        faults=tuple(reader.faults),
        redirected=redirected,
    )
    return page, response.headers.get("Location", "")


class _Reader(HTMLParser):
    """Finds what a person can use on a page: links, forms, what is said to be wrong."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._form: Form | None = None
        self._select = ""
        self._in_fault = False
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "a" if "href" in given:
                self.links.append(urljoin(self._url, given["href"]))
            case "form":
                self._form = Form(action=given.get("action", ""), values={}, choices={})
                self.forms.append(self._form)
            case "input" if self._form is not None and given.get("name"):
                self._input(self._form, given)
            case "select":
                self._select = given.get("name", "")
            case "option" if self._form is not None and self._select:
                self._option(self._form, given)
            case "p":
                self._in_fault = "fault" in given.get("class", "").split()

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "form":
                self._form = None
            case "select":
                self._select = ""
            case "p":
                self._in_fault = False

    def handle_data(self, data: str) -> None:
        if self._in_fault and data.strip():
            self.faults.append(data.strip())

    def _input(self, form: Form, given: dict[str, str]) -> None:
        name, value, kind = given["name"], given.get("value", ""), given.get("type", "text")
        if kind in ("radio", "checkbox"):
            form.choices.setdefault(name, []).append(value)
            if "checked" not in given:
                return
        if kind not in _UNSENT:
            form.values[name] = value

    def _option(self, form: Form, given: dict[str, str]) -> None:
        value = given.get("value", "")
        form.choices.setdefault(self._select, []).append(value)
        if "selected" in given or self._select not in form.values:  # the first one, where none is chosen
            form.values[self._select] = value
