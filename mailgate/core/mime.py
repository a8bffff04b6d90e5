"""Parts: the leaves of a mail, found by our own walk.

The stdlib's parser recurses once for each level and keeps a regular expression for each boundary; a stranger chooses
both. This walk goes 16 levels deep, takes the first 50 parts and 2 KiB of headers of each, and looks at every byte
once for each level. What lies beyond is left out without a word: people's mail does not get there. A multipart
without a boundary, or one too deep, is a leaf of its own type. An attached mail (message/rfc822) is a leaf, too.
Nothing here fails on any bytes.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailgate.core.headers import Headers, decode_base64, scan

MAX_DEPTH = 16
MAX_PARTS = 50
PART_HEADERS = 2 * 1024

_TYPE = re.compile(r"\s*([\w!#$&^.+-]+/[\w!#$&^.+-]+)")
_PARAMETER = r';\s*{}(?:\*\d*\*?)?\s*=\s*(?:"([^"]*)"|([^\s;"]+))'
_PARAMETERS = {
    name: re.compile(_PARAMETER.format(name), re.IGNORECASE)
    for name in ("boundary", "charset", "filename", "name", "format", "delsp")
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A leaf: its headers and its body as it was sent."""

    headers: Headers
    body: bytes = field(repr=False)

    @property
    def type(self) -> str:
        """The media type in lower case; text/plain where none is stated (RFC 2045 section 5.2)."""
        return type_of(self.headers)

    @property
    def disposition(self) -> str:
        """The word of Content-Disposition in lower case, or nothing."""
        return (self.headers.first("content-disposition") or "").partition(";")[0].strip().lower()

    def parameter(self, name: str) -> str:
        """A parameter of Content-Type or Content-Disposition, or nothing."""
        for header in ("content-type", "content-disposition"):
            if found := _PARAMETERS[name].search(self.headers.first(header) or ""):
                return str(found[1] or found[2] or "")
        return ""

    def payload(self) -> bytes:
        """The body without its transfer encoding; an unknown encoding is none."""
        encoding = (self.headers.first("content-transfer-encoding") or "").strip().lower()
        if encoding == "base64":
            return decode_base64(self.body)
        return binascii.a2b_qp(self.body) if encoding == "quoted-printable" else self.body


def type_of(headers: Headers) -> str:
    """The media type that headers state, in lower case."""
    found = _TYPE.match(headers.first("content-type") or "")
    return found[1].lower() if found else "text/plain"


def leaves(content: bytes) -> list[Part]:
    """The leaves of a mail in their order."""
    found: list[Part] = []
    headers = scan(content)
    waiting = [(0, Part(headers=headers, body=content[headers.body_at :]))]
    seen = 0
    while waiting and seen < MAX_PARTS:
        depth, part = waiting.pop()
        seen += 1
        boundary = part.parameter("boundary") if part.type.startswith("multipart/") else ""
        if not boundary or depth == MAX_DEPTH:
            found.append(part)
            continue
        inner = [(depth + 1, _part(body)) for body in _split(part.body, boundary.encode("latin-1"))]
        waiting.extend(reversed(inner))
    return found


def _part(content: bytes) -> Part:
    headers = scan(content, limit=PART_HEADERS)
    return Part(headers=headers, body=content[headers.body_at :])


def _split(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """What stands between the delimiter lines (RFC 2046 section 5.1.1), at most MAX_PARTS; no last line is needed."""
    start: int | None = None
    parts = 0
    for at, after, closes in _delimiters(body, b"--" + boundary):
        if start is not None:
            yield _without_line_end(body[start:at])
            parts += 1
        start = None if closes else after
        if closes or parts == MAX_PARTS:
            break
    else:
        if start is not None:
            yield body[start:]


_LINE_END = re.compile(rb"[\r\n]")
_REST = re.compile(rb"(--)?[ \t]*+(?:\r\n?|\n|\Z)")


def _delimiters(body: bytes, delimiter: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where each delimiter line starts and ends, and whether it is the closing one."""
    at = body.find(delimiter)
    while at >= 0:
        rest = _REST.match(body, at + len(delimiter)) if at == 0 or body[at - 1] in b"\r\n" else None
        if rest:
            yield at, rest.end(), rest[1] is not None
        line_end = _LINE_END.search(body, at)  # a delimiter starts its line, so the rest of this one holds none
        at = body.find(delimiter, line_end.end()) if line_end else -1


def _without_line_end(body: bytes) -> bytes:
    if body.endswith(b"\r\n"):
        return body[:-2]
    return body[:-1]  # _delimiters has seen a line end there
