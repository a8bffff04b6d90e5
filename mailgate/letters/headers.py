"""Headers: one line of ours from one value, and which lines each mail has.

- No value makes a line of its own: control characters, line and paragraph separators and halves of surrogate pairs become blanks before
  anything else happens (MR-35).
- A value is plain if it is short ASCII that no reader would take for something else. All else is RFC 2047 base64 in UTF-8: ISO-2022-JP has
  no ①, no 髙 and no emoji. Each encoded-word holds whole characters (section 5), a line that holds one has at most 76 (section 2).
- The words are made here and not by the `email` package, whose folding loses blanks between words and, in old interpreters, lets a
  value write headers. Its parsers are what the tests read the result with.
- No line is longer than 78 (RFC 5322 section 2.1.1) unless an address alone is: those cannot be folded.
- To a phone that refuses URLs (core.readers) not even a header holds one: the way out of ordinary mail is an address then.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from email.utils import format_datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from mailgate.core.broadcast import Kind
from mailgate.core.instants import SECOND, Instant, to_datetime
from mailgate.core.letters import BroadcastText, House
from mailgate.core.readers import unlinked

LINE: Final = 78
_ENCODED_LINE: Final = 76
_FRAME: Final = "=?utf-8?B??="

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LINE_ENDS: Final = re.compile("\r\n?")
_CONTROLS_IN_LINES: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def clean(value: str) -> str:
    """One line: whatever could end it, or is no character, is a blank."""
    return _CONTROLS.sub(" ", value)


def clean_lines(value: str) -> str:
    """The same for a text of several lines, which are ended by a line feed; tabs stay."""
    return _CONTROLS_IN_LINES.sub(" ", _LINE_ENDS.sub("\n", value))


def header(name: str, value: str) -> str:
    """The header with that value cleaned, folded with CRLF inside and without one at its end."""
    value = clean(value)
    line = f"{name}: {value}"
    if value.isascii() and len(line) <= LINE and "=?" not in value and value == value.strip():
        return line
    return f"{name}: " + "\r\n ".join(_words(value, used=len(name) + 2))


def mailbox(name: str, display: str, address: str) -> str:
    """A header with one address and a display name, which is always encoded: then it needs no quoting."""
    display = clean(display).strip()
    if not display:
        return f"{name}: {address}"
    line = f"{name}: " + "\r\n ".join(_words(display, used=len(name) + 2))
    last = line.rpartition("\r\n")[2]
    return f"{line} <{address}>" if len(last) + len(address) + 3 <= _ENCODED_LINE else f"{line}\r\n <{address}>"


def _words(value: str, *, used: int) -> Iterator[str]:
    """The encoded-words of a value, one a line; so many characters of the first line are used."""
    word = b""
    room = _octets_in(_ENCODED_LINE - used)
    for character in value:
        octets = character.encode()
        if len(word) + len(octets) > room:
            yield _word(word)
            word, room = b"", _octets_in(_ENCODED_LINE - 1)
        word += octets
    yield _word(word)


def _octets_in(columns: int) -> int:
    return (columns - len(_FRAME)) // 4 * 3


def _word(octets: bytes) -> str:
    return f"=?utf-8?B?{b64encode(octets).decode('ascii')}?="


def date(instant: Instant, zone: ZoneInfo) -> str:
    """RFC 5322 section 3.3, in local time."""
    return _date(instant // SECOND, zone)


@lru_cache(maxsize=64)  # the copies of a broadcast have few dates among them
def _date(seconds: int, zone: ZoneInfo) -> str:
    return format_datetime(to_datetime(Instant(seconds * SECOND)).astimezone(zone))


def sender(house: House, *, no_url: bool = False) -> str:
    """The From of every mail: guardians allow one domain, and know one name."""
    return mailbox("From", unlinked(house.name) if no_url else house.name, house.box(house.boxes.replies)) + "\r\n"


def own(house: House, *, recipient: str, token: str, date: str) -> str:
    """The lines that say which mail this is, and for whom."""
    return f"To: <{recipient}>\r\nDate: {date}\r\nMessage-ID: <{token}@{house.domain}>\r\n"


def reply_to(house: House, token: str) -> str:
    """Makes an empty reply a receipt."""
    return f"Reply-To: {house.box(house.boxes.receipt, token)}\r\n"


def stop(house: House, token: str, *, no_url: bool) -> str:
    """The way out of ordinary mail (RFC 2369, RFC 8058; one click is a URL, and there is none without)."""
    mailto = f"<mailto:{house.box(house.boxes.stop, token)}>\r\n"
    if no_url:
        return f"List-Unsubscribe: {mailto}"
    page = f"List-Unsubscribe: <{house.public_url}/stop/{token}>,"
    if len(page) > LINE:
        page = page.replace(" ", "\r\n ", 1)
    return f"{page}\r\n {mailto}List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def content(media: str, encoding: str, *, languages: str = "ja") -> str:
    """What the body is; `media` may be folded, `languages` is a list of tags (RFC 3282)."""
    return (
        "MIME-Version: 1.0\r\n"
        f"Content-Type: {media}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n"
        f"Content-Language: {languages}\r\n"
    )


def automatic(*, reply: bool = False) -> str:
    """Keeps other machines from answering (RFC 3834 section 5)."""
    return f"Auto-Submitted: {'auto-replied' if reply else 'auto-generated'}\r\nX-Auto-Response-Suppress: All\r\n"


def listed(house: House, broadcast: BroadcastText) -> str:
    """What makes a broadcast known as one: its list (RFC 2919), its place in the receivers' statistics, its urgency."""
    lines = [
        f"List-Id: <{broadcast.list_key}.{house.domain}>",
        f"Feedback-ID: {':'.join([*broadcast.feedback, 'mailgate'])}",
    ]
    if broadcast.kind is Kind.EMERGENCY:
        lines += ["Importance: high", "X-Priority: 1"]
    return "\r\n".join(lines) + "\r\n"
