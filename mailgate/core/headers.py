"""Headers: what we read of a mail before we trust it with anything.

Our own scanner, because the stdlib's is quadratic in ways a stranger can choose, and because phones send what no
grammar allows: raw Shift_JIS, NUL, bare CR or LF, no blank line, no headers at all. `scan` looks at the first 64 KiB
once, in linear time, and never fails; what does not look like a header ends the headers, and the rest is body. Values
are unfolded and otherwise as sent (latin-1, so every byte survives). An address is read from `From:` without decoding
encoded-words, and only if there is exactly one: we answer nobody whom we would have to guess.
"""

import binascii
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby, islice
from operator import itemgetter
from typing import Final

from mailgate.core import charsets
from mailgate.core.addresses import NULL_PATH, Address, BadPath, parse_path, parse_spec

SCANNED = 64 * 1024  # MR-16

_LINE_END = re.compile(rb"(?<!\r)\r++\n|\r|\n")  # phones also send CR CR LF for one line end
_FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:")  # RFC 5322 section 2.2; blanks before the colon are section 4.5's


@dataclass(frozen=True, slots=True)
class Headers:
    """The header fields of a mail by lower-case name, and where its body starts."""

    fields: dict[str, tuple[str, ...]] = field(repr=False)
    body_at: int
    names: tuple[str, ...] = ()  # of all fields, as they stand

    def first(self, name: str) -> str | None:
        """The uppermost value of a field, or None."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field, uppermost first."""
        return self.fields.get(name.lower(), ())

    def among(self, *names: str) -> Iterator[tuple[str, str]]:
        """Name and value of every field of some names (in lower case), in the order in which they stand."""
        values = {name: iter(self.all(name)) for name in names}
        return ((name, next(values[name])) for name in self.names if name in values)

    def has_prefix(self, prefix: str) -> bool:
        """Whether any field's name starts so."""
        return any(name.startswith(prefix.lower()) for name in self.fields)


class Ambiguous(Enum):
    """The type of AMBIGUOUS: there is a From, and it does not name exactly one address."""

    AMBIGUOUS = "ambiguous"


AMBIGUOUS: Final = Ambiguous.AMBIGUOUS


def scan(content: bytes, *, limit: int = SCANNED) -> Headers:
    """The header fields in the first 64 KiB; headers longer than that end there."""
    head = content[:limit]
    found: list[tuple[str, bytearray]] = []
    current: bytearray | None = None
    at = 0
    while at < len(head):
        end = _LINE_END.search(head, at)
        line, after = (head[at : end.start()], end.end()) if end else (head[at:], len(head))
        if not line:
            return _headers(found, after)
        if line[0] in b" \t" and current is not None:
            current += line
        elif name := _FIELD.match(line):
            current = bytearray(line[name.end() :])
            found.append((name[1].decode("ascii").lower(), current))
        elif at or not line.startswith(b"From "):  # a mailbox's separator may have come along
            return _headers(found, at)
        at = after
    return _headers(found, len(head))


def _headers(found: list[tuple[str, bytearray]], body_at: int) -> Headers:
    fields: dict[str, list[str]] = {}
    for name, value in found:
        fields.setdefault(name, []).append(value.decode("latin-1").strip(" \t"))
    return Headers({name: tuple(values) for name, values in fields.items()}, body_at, tuple(name for name, _ in found))


# RFC 2047 section 2 and the language of RFC 2231 section 5; blanks inside the text are forbidden, and sent.
_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*+)\?=")
_ESCAPED = re.compile(rb"=([0-9A-Fa-f]{2})")
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(0x100)) - set(_BASE64))
# What must never reach a line of text: controls, the line and paragraph separators, halves of surrogate pairs.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def decode_words(value: str) -> str:
    """The text of a field, whatever was sent: encoded-words, raw bytes, both; one line without control characters."""
    pieces: list[tuple[str, bytes]] = []  # (charset, bytes), charset "" for what stood there raw: to be guessed
    at = 0
    for word in _WORD.finditer(value):
        between = value[at : word.start()]
        if between.strip() or not pieces:  # RFC 2047 section 6.2: blanks between two encoded-words are none
            pieces.append(("", _bytes(between)))
        pieces.append((word[1].lower(), _word(word[2], _bytes(word[3]))))
        at = word.end()
    pieces.append(("", _bytes(value[at:])))
    # Phones cut their words anywhere, also inside a character, so neighbours of one charset are joined first.
    text = "".join(
        charsets.decode(b"".join(data for _, data in run), charset) for charset, run in groupby(pieces, itemgetter(0))
    )
    return _CONTROL.sub(" ", text)


def decode_base64(data: bytes) -> bytes:
    """Base64 up to its padding, without its faults: foreign characters, missing padding, a lone last character."""
    letters = data.partition(b"=")[0].translate(None, _NOT_BASE64)
    letters = letters[:-1] if len(letters) % 4 == 1 else letters
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _word(encoding: str, data: bytes) -> bytes:
    if encoding in "bB":
        return decode_base64(data)
    return _ESCAPED.sub(lambda code: bytes((int(code[1], 16),)), data.replace(b"_", b" "))


def _bytes(text: str) -> bytes:
    """The bytes as they were sent; text that did not come from scan is taken as UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def author(headers: Headers) -> Address | Ambiguous | None:
    """The one address in From; None without a From, AMBIGUOUS with two addresses or none that can be read."""
    values = headers.all("from")
    if not values:
        return None
    if len(values) > 1:
        return AMBIGUOUS
    # Decoded before it is scanned: the second byte of a raw JIS character may look like a quote, comma or bracket.
    text = charsets.guess(_bytes(values[0]))
    found = list(islice(_addresses(islice(_mailboxes(text), _MAILBOXES)), 2))
    if not found and text.count("<") == 1:
        # A quote or comment that never ends has swallowed what stands in the only brackets.
        found = list(_addresses(["<" + text.partition("<")[2].partition(">")[0] + ">"]))
    return found[0] if len(found) == 1 else AMBIGUOUS


_MAILBOXES = 50  # read at most; commas cost a stranger nothing
_TOKEN = re.compile(r'[^"\\(),<>]++|\\.|.', re.DOTALL)


def _mailboxes(value: str) -> Iterator[str]:
    """What may be an address in a mailbox list (RFC 5322 section 3.4): what is in brackets or between commas."""
    part: list[str] = []
    quoted, depth = False, 0
    for token in _TOKEN.finditer(value):
        text = token[0]
        if depth:
            depth += (text == "(") - (text == ")")
        elif quoted or text == '"':
            quoted = quoted != (text == '"')
            part.append(text)
        elif text == "(":
            depth = 1
        elif text == "<":
            part = [text]  # what stood before was a name
        elif text in ",>":
            yield "".join([*part, text.strip(",")])
            part = []
        else:
            part.append(text)
    yield "".join(part)


def _addresses(mailboxes: Iterable[str]) -> Iterator[Address]:
    for mailbox in mailboxes:
        text = mailbox.strip()
        with suppress(BadPath):
            path = parse_path(f"<{text[1:].removesuffix('>').strip()}>") if text.startswith("<") else parse_spec(text)
            if path is not NULL_PATH:
                yield path
