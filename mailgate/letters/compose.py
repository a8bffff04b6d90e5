"""Compose: the bytes of a body.

- Bodies are UTF-8 in base64, so every line on the wire is short ASCII and nothing on the way has a reason to touch it. 57 octets make a
  line of 76 characters (RFC 2045 section 6.8), so text that many mails share can be encoded once if it is cut at a multiple of 57: what is
  left over goes in front of what each copy has for itself, and only the end of that is padded.
- A text is laid out once with marks where a copy's own values stand; a copy is then a join. A mark cannot come from a value, because
  values have no control characters.
- A mail that is handed on as it is goes as message/rfc822 where that may stand unencoded (RFC 2046 section 5.2.1), that is, if it is 7-bit
  with short lines; otherwise as a file in base64. Either way each of its octets arrives.
- Nothing here dot-stuffs: that belongs to SMTP.
"""

import hashlib
import re
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

OCTETS: Final = 57
CHARACTERS: Final = 76

_MARK: Final = re.compile(rb"\x00([0-9]+)\x00")

TEXT: Final = "text/plain; charset=UTF-8"
MAX_ATTACHED: Final = 64_000
_SEVEN_BIT: Final = re.compile(rb"(?:[^\x00\r\n\x80-\xff]{0,998}+\r\n)*+[^\x00\r\n\x80-\xff]{0,998}+")


def base64_lines(octets: bytes) -> bytes:
    """Lines of base64, each ended."""
    encoded = b2a_base64(octets, newline=False)
    return b"".join([encoded[at : at + CHARACTERS] + b"\r\n" for at in range(0, len(encoded), CHARACTERS)])


def wire(text: str) -> bytes:
    """A text in octets, its lines ended as mail ends them."""
    return text.replace("\n", "\r\n").encode()


def mark(place: int, *, width: int = 3) -> str:
    """What stands in a laid out text for the copy's own value of that number; as wide as the value, where lines are folded by it."""
    return f"\x00{place:0{width - 2}}\x00"


@dataclass(frozen=True, slots=True)
class Layout:
    """Octets that many mails share, with room for their own values."""

    octets: bytes  # for the % operator
    places: tuple[int, ...]  # the numbers of the values, as they stand in it

    @classmethod
    def of(cls, marked: bytes) -> "Layout":
        """Take the marks out."""
        shared = _MARK.split(marked)
        return cls(b"%b".join([each.replace(b"%", b"%%") for each in shared[::2]]), tuple(map(int, shared[1::2])))

    def filled(self, values: Sequence[bytes]) -> bytes:
        """The octets of one mail."""
        return self.octets % tuple([values[place] for place in self.places])


@dataclass(frozen=True, slots=True)
class Segments:
    """A text that many mails share, up to their own values."""

    encoded: bytes  # whole lines of base64
    tail: Layout  # from the last shared line that is not whole

    @classmethod
    def of(cls, text: str) -> "Segments":
        """Cut a text where its own values begin."""
        marked = wire(text)
        shared = _MARK.split(marked, 1)[0]
        whole = len(shared) // OCTETS * OCTETS
        return cls(base64_lines(marked[:whole]), Layout.of(marked[whole:]))

    def filled(self, values: Sequence[bytes]) -> bytes:
        """The body of one mail."""
        return self.encoded + base64_lines(self.tail.filled(values))


def attachable(content: bytes) -> bytes:
    """As much of a mail as we hand on: all of it, or whole lines from its beginning."""
    if len(content) <= MAX_ATTACHED:
        return content
    start = content[:MAX_ATTACHED]
    return start[: start.rfind(b"\n") + 1] or start


@dataclass(frozen=True, slots=True)
class Parcel:
    """A text and the mail that it speaks of."""

    media: str  # the value of Content-Type
    body: bytes

    @classmethod
    def of(cls, text: str, content: bytes) -> "Parcel":
        """Wrap a mail."""
        # No base64 has this in it, and no mail its own digest.
        boundary = "=_" + hashlib.sha256(content).hexdigest()[:40]
        delimiter = f"--{boundary}\r\n".encode()
        letter = f"Content-Type: {TEXT}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
        last = f"\r\n--{boundary}--\r\n".encode()
        body = b"".join((delimiter, letter, base64_lines(wire(text)), delimiter, _attachment(content), last))
        return cls(f'multipart/mixed;\r\n boundary="{boundary}"', body)


def _attachment(content: bytes) -> bytes:
    seven_bit = _SEVEN_BIT.fullmatch(content) is not None
    media, encoding = ("message/rfc822", "7bit") if seven_bit else ("application/octet-stream", "base64")
    head = (
        f"Content-Type: {media}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n"
        'Content-Disposition: attachment; filename="original.eml"\r\n\r\n'
    )
    return head.encode() + (content if seven_bit else base64_lines(content))
