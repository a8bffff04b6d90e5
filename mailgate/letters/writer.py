"""The writer: letters in, bytes out.

- A letter is a folder of templates, `subject.ja.txt` and `text.ja.txt`, found by the letter's name. All are read when the writer is made:
  one that is missing or broken stops the start and not a mail. A name that a template is not given is an error (StrictUndefined).
- Templates see the letter's fields and `house`, each value without control characters; only `text` and `cut` keep their lines. Mail is
  plain text, so nothing is escaped.
- The same letter and envelope give the same bytes, always: no clock and no dice here (MR-37).
- A broadcast is written once, by `prepare`; a copy is a join of what is shared, a few header lines and a small tail.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mailgate.core.broadcast import TAG, Kind
from mailgate.core.instants import Instant, to_datetime
from mailgate.core.letters import (
    LETTERS,
    MAX_MAIL,
    BroadcastText,
    Completion,
    CopyFacts,
    Envelope,
    ForOperator,
    House,
    Invitation,
    Letter,
)
from mailgate.letters import headers
from mailgate.letters.compose import TEXT, Parcel, Segments, attachable, base64_lines, mark, wire

_LINES: Final = frozenset({"text", "cut"})
# What a copy's own headers, names and link may add to what all copies share.
_OWN: Final = 8_000


class LetterTooLong(Exception):
    """A letter would make a mail of MAX_MAIL octets or more; `octets` says of how many."""

    def __init__(self, name: str, octets: int) -> None:
        super().__init__(f"a {name} of {octets} octets: its text is too long (core.letters.fits tells beforehand)")
        self.octets = octets


class Writer:
    """Writes every mail of one house."""

    def __init__(self, house: House, templates: Path) -> None:
        self._house = house
        self._zone = ZoneInfo(house.timezone)
        environment = Environment(
            loader=FileSystemLoader(templates / "mail"),
            undefined=StrictUndefined,
            autoescape=False,  # noqa: S701  mail is plain text
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        environment.globals["house"] = replace(
            house,
            name=headers.clean(house.name),
            board=headers.clean(house.board),
            helpline=headers.clean(house.helpline),
        )
        environment.filters["tag"] = lambda kind: TAG[Kind(kind)]
        environment.filters["local"] = self._local
        self._templates = {
            letter.name: (
                environment.get_template(f"{letter.name}/subject.ja.txt"),
                environment.get_template(f"{letter.name}/text.ja.txt"),
            )
            for letter in (*LETTERS, BroadcastText)
        }

    def write(self, letter: Letter, envelope: Envelope) -> bytes:
        """The mail that carries a letter, headers and all.

        Raises:
            LetterTooLong: MR-44 would not hold.
        """
        match letter:
            case ForOperator(content):
                attached = attachable(content)
                subject, text = self._render(letter.name, {"shortened": len(attached) < len(content)})
                parcel = Parcel.of(text, attached)
                kind, body = headers.content(parcel.media, "7bit"), parcel.body
            case _:
                subject, text = self._render(letter.name, _values(letter))
                kind, body = headers.content(TEXT, "base64"), base64_lines(wire(text))
        head = [
            headers.sender(self._house),
            headers.own(self._house, envelope, zone=self._zone),
            headers.reply_to(self._house, envelope) if isinstance(letter, Completion) else "",
            headers.header("Subject", subject) + "\r\n",
            kind,
            headers.automatic(reply=isinstance(letter, Invitation)),
            "\r\n",
        ]
        mail = "".join(head).encode("ascii") + body
        if len(mail) >= MAX_MAIL:
            raise LetterTooLong(letter.name, len(mail))
        return mail

    def prepare(self, broadcast: BroadcastText) -> "Prepared":
        """Write a broadcast as far as its copies share it.

        Raises:
            LetterTooLong: MR-44 would not hold for its copies.
        """
        values = _values(broadcast)

        def lay_out(link: str | None, pupils: tuple[str, ...]) -> str:
            return self._render(broadcast.name, {**values, "link": link, "pupils": pupils})[1]

        subject = self._render(broadcast.name, {**values, "link": None, "pupils": ()})[0]
        prepared = Prepared(self._house, broadcast, subject=subject, zone=self._zone, lay_out=lay_out)
        if prepared.shared_octets + _OWN > MAX_MAIL:
            raise LetterTooLong(broadcast.name, prepared.shared_octets + _OWN)
        return prepared

    def _render(self, name: str, values: dict[str, object]) -> tuple[str, str]:
        subject, text = self._templates[name]
        return subject.render(values).strip(), text.render(values)

    def _local(self, instant: Instant) -> datetime:
        return to_datetime(instant).astimezone(self._zone)


class Prepared:
    """A broadcast whose copies are a join."""

    def __init__(
        self,
        house: House,
        broadcast: BroadcastText,
        *,
        subject: str,
        zone: ZoneInfo,
        lay_out: Callable[[str | None, tuple[str, ...]], str],
    ) -> None:
        self._house = house
        self._zone = zone
        self._stoppable = not broadcast.is_alarm
        self._lay_out = lay_out
        self._sender = headers.sender(house)
        self._shared = "".join(
            [
                headers.header("Subject", subject) + "\r\n",
                headers.content(TEXT, "base64"),
                headers.automatic(),
                headers.listed(house, broadcast),
                "\r\n",
            ]
        ).encode("ascii")
        # Copies differ in whether they ask for a receipt and in how many pupils they name: each such shape is laid out once.
        self._shapes: dict[tuple[bool, int], Segments] = {}
        self.shared_octets = len(self._sender) + len(self._shared) + len(self._shape(asks=True, names=1).encoded)

    def copy(self, facts: CopyFacts) -> bytes:
        """The mail of one recipient, headers and all."""
        envelope, link, pupils = facts.envelope, facts.link, facts.pupils
        own = (
            self._sender + headers.own(self._house, envelope, zone=self._zone) + headers.reply_to(self._house, envelope)
        )
        if self._stoppable:
            own += headers.stop(self._house, envelope)
        shape = self._shapes.get((link is not None, len(pupils))) or self._shape(
            asks=link is not None, names=len(pupils)
        )
        body = shape.filled([headers.clean(value).encode() for value in (link or "", *pupils)])
        return b"".join((own.encode("ascii"), self._shared, body))

    def _shape(self, *, asks: bool, names: int) -> Segments:
        """The shared text of the copies of a shape; value 0 is the link, the others are the pupils."""
        shape = Segments.of(self._lay_out(mark(0) if asks else None, tuple(map(mark, range(1, names + 1)))))
        self._shapes[asks, names] = shape
        return shape


def _values(record: Letter | BroadcastText) -> dict[str, object]:
    """The fields of a record as templates see them."""
    return {field.name: _safe(field.name, getattr(record, field.name)) for field in fields(record)}


def _safe(name: str, value: object) -> object:
    match value:
        case str():
            return headers.clean_lines(value).strip("\n") if name in _LINES else headers.clean(value)
        case tuple():
            return tuple(_safe(name, item) for item in value)
        case _:
            return value
