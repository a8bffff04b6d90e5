"""Views: facts, a language and a template make a page.

Every sentence is in the catalogues (`texts`), every shape in the templates; here is only what carries facts there. A name that a template
uses and nobody gave is an error (StrictUndefined), and whatever comes from outside is escaped.

Whose language a page speaks: the one the reader asked for (`?lang=`, which the links of that page then carry), else the one that the
address of the link or the registration is written to in, else what the browser accepts.

Pages that say nothing of the request (dead links, refusals, our own faults) are made once, at the start. So all dead links of a road
look the same to the byte, a refusal costs nothing, and the fault page is there when rendering is what failed.
"""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import jinja2
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response

from mailgate.core import fields
from mailgate.core.letters import House
from mailgate.core.readers import Language
from mailgate.core.registration import AddressRule
from mailgate.places import folder
from mailgate.web.texts import Tongue, load, preferred

Road: TypeAlias = Literal["join", "send", "copy", "stop", "reset", "undo"]
DeadReason: TypeAlias = Literal["invalid", "expired", "burnt"]

# What a page may refuse with; each has its words under `problem` in the catalogues.
PROBLEMS: Final = (400, 403, 404, 405, 408, 413, 415, 500, 503)

# A link that was never ours is not there; one that was ours is gone.
_DEAD_STATUS: Final[Mapping[DeadReason, int]] = {"invalid": 404, "expired": 410, "burnt": 410}
_DEAD: Final[Mapping[Road, tuple[DeadReason, ...]]] = {
    "join": ("invalid", "expired", "burnt"),
    "send": ("invalid", "expired"),
    "copy": ("invalid",),
    "stop": ("invalid",),
    "reset": ("invalid", "expired"),
    "undo": ("invalid", "expired"),
}

# What the sentences about rules have to name.
_RULES: Final[Mapping[str, int]] = {
    "min_id": fields.MIN_ID,
    "max_id": fields.MAX_ID,
    "max_name": fields.MAX_NAME,
    "max_kana": fields.MAX_KANA,
    "max_label": fields.MAX_LABEL,
    "min_password": fields.MIN_PASSWORD,
    "max_password": fields.MAX_PASSWORD,
}


class Views:
    """Makes pages."""

    def __init__(self, house: House, rule: AddressRule) -> None:
        self._house = house
        self._css = (_folder() / "app.css").read_bytes()
        self._css_version = sha256(self._css).hexdigest()[:8]  # a new sheet has a new address
        self._tongues = _tongues(house, rule)
        self._problems = {
            (status, tongue): self._render("problem.html", tongue, status=status)
            for status in PROBLEMS
            for tongue in self._tongues.values()
        }
        self._dead = {
            (road, reason, tongue): self._render("dead.html", tongue, road=road, reason=reason)
            for road, reasons in _DEAD.items()
            for reason in reasons
            for tongue in self._tongues.values()
            if road != "send" or tongue.language == "ja"  # whoever sends for a city's schools reads Japanese
        }

    def tongue(self, request: HTTPConnection, known: str | None = None) -> Tongue:
        """The language for a request; `known`: what the address or the registration behind it is written to in."""
        asked = self._tongues.get((request.query_params.get("lang", ""), True))
        return asked or self.known(known or preferred(request.headers.get("accept-language", "")))

    def known(self, language: str) -> Tongue:
        """A language that nobody asked for by name."""
        return self._tongues.get((language, False), self.staff)

    @property
    def staff(self) -> Tongue:
        """The language of whoever sends for a city's schools, and of whom we know nothing."""
        return self._tongues["ja", False]

    def page(
        self,
        name: str,
        tongue: Tongue,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **facts: object,
    ) -> Response:
        """A page from its template, in a language, and what it needs to know."""
        return _answer(self._render(f"{name}.html", tongue, **facts), status, headers)

    def problem(self, request: HTTPConnection, status: int, headers: Mapping[str, str] | None = None) -> Response:
        """The page of a refusal or of a fault of ours."""
        return _answer(self._problems[status, self.tongue(request)], status, headers)

    def dead(self, road: Road, reason: DeadReason, tongue: Tongue) -> Response:
        """The page of a link that does not open."""
        return _answer(self._dead[road, reason, tongue], _DEAD_STATUS[reason])

    def css(self) -> Response:
        """The one style sheet."""
        # It holds nothing of anybody, and its address changes with it: the only thing a browser may keep.
        return Response(self._css, media_type="text/css", headers={"Cache-Control": "public, max-age=86400"})

    def _render(self, name: str, tongue: Tongue, **facts: object) -> bytes:
        standing = {"t": tongue, "house": self._house, "css_version": self._css_version, "languages": tuple(Language)}
        return _templates().get_template(name).render({**facts, **standing}).encode("utf-8")


def _folder() -> Path:
    return folder("templates") / "web"


@cache
def _templates() -> jinja2.Environment:
    """The templates, compiled once in a process."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_folder()),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters |= {"number": _number, "few": _few}
    return templates


def _tongues(house: House, rule: AddressRule) -> Mapping[tuple[str, bool], Tongue]:
    """Each language, as asked for by name and not."""
    zone = ZoneInfo(house.timezone)
    boxes = house.boxes
    blank = {Language.JA: boxes.join, Language.EASY: boxes.easy, Language.EN: boxes.en}
    standing = {
        "domain": house.domain,
        "house": house.name,
        "board": house.board,
        "helpline": house.helpline,
        "replies_box": house.box(boxes.replies),
        "code_box": house.box(boxes.code),
        "id_box": house.box(boxes.id),
        "max_addresses": rule.addresses,
        **_RULES,
    }
    tongues: dict[tuple[str, bool], Tongue] = {}
    for language in Language:
        catalogue = load(_folder() / "texts", language)
        for chosen in (False, True):
            facts = {**standing, "blank_box": house.box(blank[language])}
            tongues[language, chosen] = Tongue(catalogue, chosen=chosen, standing=facts, zone=zone)
    return MappingProxyType(tongues)


def _answer(html: bytes, status: int, headers: Mapping[str, str] | None = None) -> Response:
    answer = HTMLResponse(html, status_code=status, headers=headers)
    answer.headers["Vary"] = "Accept-Language"
    return answer


def _number(count: int) -> str:
    return f"{count:,}"


def _few(count: int) -> str:
    """A number of addresses as staff may know it: of a handful, not how many (MR-75)."""
    return "1〜4" if 0 < count < 5 else _number(count)
