"""The writer: letters in, bytes out.

- A letter is a folder of templates, `subject.LANGUAGE.txt` and `text.LANGUAGE.txt`, found by the letter's name; those to staff are in
  Japanese alone. All are read when the writer is made: one that is missing or broken stops the start and not a mail. A name that a
  template is not given is an error (StrictUndefined).
- Templates see the letter's fields and `house`, each value without control characters; only `text` and `cut` keep their lines. Mail is
  plain text, so nothing is escaped. `no_url` says that the reader gets no links: then those fields are None, and no value holds `http`.
- The same letter and envelope give the same bytes, always: no clock and no dice here (MR-37).
"""

from dataclasses import fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final  # Any: a field of some letter
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mailgate.core import readers
from mailgate.core.broadcast import TAG, Kind
from mailgate.core.instants import Instant, to_datetime
from mailgate.core.letters import (
    LETTERS,
    MAX_MAIL,
    TO_STAFF,
    BroadcastText,
    Completion,
    Entry,
    Envelope,
    ForOperator,
    House,
    IdList,
    Invitation,
    Letter,
    NotRead,
    Stopped,
)
from mailgate.core.lines import Lines, lines
from mailgate.core.readers import Language, unlinked
from mailgate.letters import headers
from mailgate.letters.compose import TEXT, Parcel, attachable, base64_lines, wire
from mailgate.letters.prepared import OWN, Prepared

_LINES: Final = frozenset({"text", "cut"})
_REPLIES: Final = (Invitation, IdList, NotRead)  # to a mail that came in
_ANSWERED: Final = (Completion, Stopped)  # what an empty reply to them means is known by their token


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
        environment.filters["tag"] = lambda kind: TAG[Kind(kind)]
        environment.filters["local"] = self._local
        environment.filters["bare"] = unlinked
        self._shown_house = {no_url: _house(house, no_url=no_url) for no_url in (False, True)}
        self._templates = {
            (letter.name, language): (
                environment.get_template(f"{letter.name}/subject.{language}.txt"),
                environment.get_template(f"{letter.name}/text.{language}.txt"),
            )
            for letter in (*LETTERS, BroadcastText)
            for language in ((Language.JA,) if letter in TO_STAFF else Language)
        }

    def write(self, letter: Letter, envelope: Envelope) -> Lines:
        """The mail that carries a letter, headers and all.

        Raises:
            LetterTooLong: MR-44 would not hold.
            NotLines: a defect of ours: it could not go over the wire.
        """
        to_staff = isinstance(letter, TO_STAFF)
        language = Language.JA if to_staff else envelope.language
        no_url = envelope.no_url and not to_staff
        if isinstance(letter, ForOperator):
            attached = attachable(letter.content)
            values: dict[str, object] = {"shortened": len(attached) < len(letter.content)}
            subject, text = self._render(letter.name, values, language=language, no_url=no_url)
            parcel = Parcel.of(text, attached)
            kind, body = headers.content(parcel.media, "7bit"), parcel.body
        else:
            values = _values(letter, no_url=no_url)
            subject, text = self._render(letter.name, values, language=language, no_url=no_url)
            kind = headers.content(TEXT, "base64", languages=readers.TAG[language])
            body = base64_lines(wire(text))
        head = [
            headers.sender(self._house, no_url=no_url),
            headers.own(
                self._house,
                recipient=envelope.recipient,
                token=envelope.tokens.message_id,
                date=headers.date(envelope.date, self._zone),
            ),
            headers.reply_to(self._house, envelope.tokens.receipt) if isinstance(letter, _ANSWERED) else "",
            headers.header("Subject", subject) + "\r\n",
            kind,
            headers.automatic(reply=isinstance(letter, _REPLIES)),
            "\r\n",
        ]
        mail = "".join(head).encode("ascii") + body
        if len(mail) >= MAX_MAIL:
            raise LetterTooLong(letter.name, len(mail))
        return lines(mail)

    def prepare(self, broadcast: BroadcastText) -> Prepared:
        """Write a broadcast as far as its copies share it.

        Raises:
            LetterTooLong: MR-44 would not hold for its copies.
        """
        values = {no_url: _values(broadcast, no_url=no_url) for no_url in (False, True)}

        def lay_out(
            language: Language, no_url: bool, asks: bool, link: str | None, pupils: tuple[str, ...]
        ) -> tuple[str, str]:
            own = {"asks": asks, "link": link, "pupils": pupils}
            return self._render(broadcast.name, {**values[no_url], **own}, language=language, no_url=no_url)

        prepared = Prepared(self._house, broadcast, zone=self._zone, lay_out=lay_out)
        if prepared.shared_octets + OWN > MAX_MAIL:
            raise LetterTooLong(broadcast.name, prepared.shared_octets + OWN)
        return prepared

    def _render(self, name: str, values: dict[str, object], *, language: Language, no_url: bool) -> tuple[str, str]:
        subject, text = self._templates[name, language]
        seen = {**values, "house": self._shown_house[no_url], "no_url": no_url}
        return subject.render(seen).strip(), text.render(seen)

    def _local(self, instant: Instant) -> datetime:
        return to_datetime(instant).astimezone(self._zone)


def _house(house: House, *, no_url: bool) -> House:
    """The house as templates see it."""
    names = ("name", "board", "helpline", "public_url")
    return replace(house, **{name: _safe(name, getattr(house, name), no_url=no_url) for name in names})


def _values(record: Any, *, no_url: bool) -> dict[str, Any]:
    """The fields of a record as templates see them; a reader without URLs gets none of its links."""
    return {
        field.name: None
        if no_url and field.name.endswith("link")
        else _safe(field.name, getattr(record, field.name), no_url=no_url)
        for field in fields(record)
    }


def _safe(name: str, value: Any, *, no_url: bool) -> Any:
    match value:
        case str():
            shown = headers.clean_lines(value).strip("\n") if name in _LINES else headers.clean(value)
            return unlinked(shown) if no_url else shown
        case tuple():
            return tuple(_safe(name, item, no_url=no_url) for item in value)
        case Entry():
            return replace(value, **_values(value, no_url=no_url))
        case _:
            return value
