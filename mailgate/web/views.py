"""Views: facts and a template make a page.

Everything a person reads is in `templates/web`, Japanese and in local time; here is only what carries facts there. A name that a
template uses and nobody gave is an error (StrictUndefined), and whatever comes from outside is escaped.

Pages that say nothing of the request (dead links, refusals, our own faults) are made once, at the start. So all dead links of a road
look the same to the byte, a refusal costs nothing, and the fault page is there when rendering is what failed.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

import jinja2
from starlette.responses import HTMLResponse, Response

from mailgate.core import registration
from mailgate.core.instants import Instant, to_datetime
from mailgate.core.letters import House
from mailgate.places import folder

Road: TypeAlias = Literal["join", "send", "copy", "stop"]
DeadReason: TypeAlias = Literal["invalid", "expired", "burnt"]

# What a page may refuse with; each has its words in templates/web/problems.
PROBLEMS: Final = (400, 403, 404, 405, 408, 413, 415, 500, 503)

# A link that was never ours is not there; one that was ours is gone.
_DEAD_STATUS: Final[Mapping[DeadReason, int]] = {"invalid": 404, "expired": 410, "burnt": 410}
_DEAD: Final[Mapping[Road, tuple[DeadReason, ...]]] = {
    "join": ("invalid", "expired", "burnt"),
    "send": ("invalid", "expired"),
    "copy": ("invalid",),
    "stop": ("invalid",),
}
_WEEKDAYS: Final = "月火水木金土日"

# What the sentences about rules have to name.
_RULES: Final[Mapping[str, int]] = {
    "min_id": registration.MIN_ID,
    "max_id": registration.MAX_ID,
    "max_name": registration.MAX_NAME,
    "max_kana": registration.MAX_KANA,
    "max_label": registration.MAX_LABEL,
    "min_password": registration.MIN_PASSWORD,
    "max_password": registration.MAX_PASSWORD,
    "max_addresses": registration.MAX_ADDRESSES,
}


class Views:
    """Makes pages."""

    def __init__(self, house: House) -> None:
        templates = folder("templates") / "web"
        self._zone = ZoneInfo(house.timezone)
        self._css = (templates / "app.css").read_bytes()
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(templates),
            undefined=jinja2.StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals |= {
            "house": house,
            "rules": _RULES,
            "css_version": sha256(self._css).hexdigest()[:8],  # a new sheet has a new address
        }
        self._templates.filters |= {"when": self._when, "clock": self._clock_time, "number": _number, "few": _few}
        self._problems = {status: self._render(f"problems/{status}.html") for status in PROBLEMS}
        self._dead = {
            (road, reason): self._render("dead.html", road=road, reason=reason)
            for road, reasons in _DEAD.items()
            for reason in reasons
        }

    def page(
        self, name: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **facts: object
    ) -> Response:
        """A page from its template and what it needs to know."""
        return HTMLResponse(self._render(f"{name}.html", **facts), status_code=status, headers=headers)

    def problem(self, status: int, headers: Mapping[str, str] | None = None) -> Response:
        """The page of a refusal or of a fault of ours."""
        return HTMLResponse(self._problems[status], status_code=status, headers=headers)

    def dead(self, road: Road, reason: DeadReason = "invalid") -> Response:
        """The page of a link that does not open."""
        return HTMLResponse(self._dead[road, reason], status_code=_DEAD_STATUS[reason])

    def css(self) -> Response:
        """The one style sheet."""
        # It holds nothing of anybody, and its address changes with it: the only thing a browser may keep.
        return Response(self._css, media_type="text/css", headers={"Cache-Control": "public, max-age=86400"})

    def _render(self, name: str, **facts: object) -> bytes:
        return self._templates.get_template(name).render(facts).encode("utf-8")

    def _local(self, instant: Instant) -> datetime:
        return to_datetime(instant).astimezone(self._zone)

    def _when(self, instant: Instant) -> str:
        moment = self._local(instant)
        day = f"{moment.year}年{moment.month}月{moment.day}日（{_WEEKDAYS[moment.weekday()]}）"
        return day + self._clock_time(instant)

    def _clock_time(self, instant: Instant) -> str:
        moment = self._local(instant)
        return f"{moment.hour}時{moment.minute}分" if moment.minute else f"{moment.hour}時"


def _number(count: int) -> str:
    return f"{count:,}"


def _few(count: int) -> str:
    """A number of addresses as staff may know it: of a handful, not how many (MR-75)."""
    return "1〜4" if 0 < count < 5 else _number(count)
