"""Replies: what a server says, read as far as we need it (RFC 5321 section 4.2).

A reply is one line or several; `250-` goes on, `250 ` ends. Its meaning for the one who asked is its kind: yes, go on, no, and three ways
of not playing along. What is not understood is `odd`, and nobody who gets an odd reply believes anything of it: lines of one reply with
different codes, a code that is none, no blank behind it, no end in sight.

A no refuses a copy only if it is about the copy. What a server says about itself, about our login or about TLS puts the copy off.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from mailgate.core.relay import BEFORE_ANY_COPY, Deferred, Phase, Refused, enhanced_of, masked

# All lines of one reply. RFC 5321 section 4.5.3.1.5 gives a line 512 octets; some servers write whole paragraphs.
MAX_REPLY: Final = 4096

# 5xx that are not about the copy: out of step, no such command, no mail taken here at all, and all that is about our login or TLS.
_NOT_ABOUT_THE_COPY: Final = frozenset({502, 503, 521, 530, 534, 535, 538})


class Kind(IntEnum):
    """What a reply says to the command before it."""

    YES = 0  # 2xx
    GO = 1  # 354
    NO = 2  # 4xx, 5xx
    OUT_OF_STEP = 3  # 503: it thinks that we are somewhere else
    CLOSING = 4  # 421: it leaves, whatever was asked
    ODD = 5


_KINDS: Final[Mapping[bytes, Kind]] = MappingProxyType(
    {b"%d" % code: Kind.YES for code in range(200, 300)}
    | {b"%d" % code: Kind.NO for code in range(400, 600)}
    | {b"354": Kind.GO, b"503": Kind.OUT_OF_STEP, b"421": Kind.CLOSING}
)


def end_of_reply(data: bytes, start: int) -> int:
    """Where the reply that begins at `start` ends, behind its line end; 0: not all of it is here."""
    while end := data.find(b"\n", start) + 1:
        if data[start + 3 : start + 4] != b"-" or end - start < 5:  # a dash in a line that is too short is in the next one
            return end
        start = end
    return 0


def kind_of(reply: bytes) -> Kind:
    """The kind of a whole reply."""
    code = reply[:3]
    if reply[3:4] != b" ":  # nearly every reply is one line with words
        *_, last = lines = reply.removesuffix(b"\n").split(b"\n")
        if last[3:4] not in (b" ", b"\r", b"") or any(line[:3] != code for line in lines):
            return Kind.ODD
    return _KINDS.get(code, Kind.ODD)


def code_of(reply: bytes) -> int | None:
    """The code of a reply that has one."""
    code = reply[:3]
    return int(code) if len(code) == 3 and code.isdigit() else None


def text_of(reply: bytes) -> str:
    """The words of a reply, without codes; all of it, if it has none."""
    text = reply.decode("utf-8", "surrogateescape").rstrip("\r\n")
    if code_of(reply) is None:
        return text
    return "\n".join([line[4:] for line in text.split("\n")]) if "\n" in text else text[4:]


def negative(phase: Phase, code: int | None, text: str, *, about: str = "") -> Deferred | Refused:
    """What a reply that is no yes means. What is not understood is Deferred."""
    known = code if code is not None and 200 <= code <= 599 else None
    final = phase not in BEFORE_ANY_COPY and known is not None and known >= 500 and known not in _NOT_ABOUT_THE_COPY
    return (Refused if final else Deferred)(
        phase=phase, code=known, enhanced=enhanced_of(text), text=masked(text, about=about)
    )
