"""Drafting: what a staff mail says, made ready to be looked at before anything is sent.

The kind is said by a tag that leads the subject, in whatever brackets a phone offers, or with a colon; it is taken off, since the mail that
goes out has its own. Only a leading tag counts: a word in the middle of a sentence must not wake a city. Without one it is a notice.
What a mail program put before it (Re:, Fwd:) goes away first.

What is doubtful is not refused here but named, and the person who sends decides on the preview: a mail address or a URL in what
everybody will read, or no text at all. Subject and text may hold anybody's data, so a draft does not show them.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from mailgate.core.broadcast import KIND, Kind
from mailgate.core.text import cut_signature


class Caution(StrEnum):
    """What the sender is asked to look at."""

    MAIL_ADDRESS = "mail_address"
    URL = "url"
    NO_TEXT = "no_text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A broadcast to be; an empty subject or text is possible, and whoever asked decides what that means."""

    kind: Kind
    subject: str = field(repr=False)
    text: str = field(repr=False)
    cut: str = field(repr=False)  # what was taken for a signature
    warnings: tuple[Caution, ...]


_TAGS: Final = "|".join(KIND)
# In brackets of any form, or with a colon, or alone.
_TAG: Final = re.compile(
    rf"[【\[［「『〔(（<＜《〈] ?({_TAGS}) ?[】\]］」』〕)）>＞》〉][ :：]*|({_TAGS}) ?(?:[:：][ :：]*|$)"
)
# Re:, RE[2]:, Re^3:, Fw:, Fwd:, and what Japanese programs write.
_REPLY: Final = re.compile(
    r"(?:(?:(?:re|fwd?)(?:\[\d{1,3}\]|\^?\d{1,3})?|返信|転送) ?[:：] ?)+", re.IGNORECASE | re.ASCII
)

_LINE_END: Final = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Controls but line ends and tabs, lone surrogates, and what turns the reading direction of all that follows.
_UNFIT: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")

# Full-width ASCII, as phones write it in the middle of Japanese.
_HALF_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
# One character before the @ is enough to know an address by, and keeps the search linear.
_ADDRESS: Final = re.compile(r"[\w.+\"-]@[a-z0-9-]{1,63}\.[a-z0-9]", re.IGNORECASE | re.ASCII)
_URL: Final = re.compile(r"https?://|\bwww\.[a-z0-9-]", re.IGNORECASE | re.ASCII)


def draft(subject: str, text: str) -> Draft:
    """The broadcast that a staff mail with this subject and text asks for."""
    kind, subject = _take_tag(_one_line(subject))
    kept, cut = cut_signature(_lines(text))
    kept = _lines(kept)
    return Draft(kind=kind, subject=subject, text=kept, cut=_lines(cut), warnings=cautions(subject, kept))


def _take_tag(subject: str) -> tuple[Kind, str]:
    reply = _REPLY.match(subject)
    subject = subject[reply.end() :] if reply else subject
    tag = _TAG.match(subject)
    return (KIND[tag[1] or tag[2]], subject[tag.end() :]) if tag else (Kind.NOTICE, subject)


def _one_line(text: str) -> str:
    return " ".join(_UNFIT.sub(" ", text).split())


def _lines(text: str) -> str:
    """Text with line feeds alone, without blanks at the ends of lines and without empty lines around it."""
    text = _UNFIT.sub("", _LINE_END.sub("\n", text))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def cautions(subject: str, text: str) -> tuple[Caution, ...]:
    """What is doubtful in a subject and a text that are ready to go out."""
    read = f"{subject}\n{text}".translate(_HALF_WIDTH)
    found = {
        Caution.MAIL_ADDRESS: _ADDRESS.search(read) is not None,
        Caution.URL: _URL.search(read) is not None,
        Caution.NO_TEXT: not text,
    }
    return tuple(caution for caution, holds in found.items() if holds)
