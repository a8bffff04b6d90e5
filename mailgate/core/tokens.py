"""People's links: `/j/TOKEN`, `/send/TOKEN`, and the short code beside the link of an invitation.

A token carries 120 drawn bits and an expiry, and nothing of a person: URLs end up in proxies and histories. Signing is itsdangerous
with SHA-256 and a salt for each purpose, so a token of one purpose is no token of another; keys are listed oldest first, the newest
signs and all verify. Nothing is random here: the same id and expiry give the same token, so a repeated mail shows the same link.

What a token opens is decided by the id in it. Its text is never a key of anything: the last character of base64 has bits to spare, so
several spellings carry the same bytes and all of them open alike. Altered, truncated, foreign and wrong-purpose tokens are one
value, `INVALID`; only a token that is right in all but its time says so, as `Expired`, which still names the id.

The short code is 8 digits derived from the id. It is looked up by a keyed digest, so the database holds no code. A hundred million codes
are few: whoever stores the digest must draw another id when it is taken, and bound the guesses.
"""

import hmac
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final
from unicodedata import normalize

from itsdangerous import BadSignature, Signer
from itsdangerous.encoding import base64_encode

from mailgate.core.instants import SECOND, Instant

MIN_KEY: Final = 32
ID_BYTES: Final = 15
CODE_DIGITS: Final = 8

_EXPIRY_BYTES: Final = 5
# 20 and 32 bytes in base64 without padding.
_SHAPE: Final = re.compile(r"([A-Za-z0-9_-]{27})\.([A-Za-z0-9_-]{43})")

# What Japanese keyboards give for a hyphen, after NFKC: hyphens, dashes, the minus sign, the long vowel mark.
_GAPS: Final = re.compile(r"[\s\-\u2010-\u2015\u2212\u30fc]+")
# Nothing printed on paper is longer. The bound also keeps normalising cheap: it is quadratic in a run of combining marks.
_TYPED_BOUND: Final = 64


class Purpose(StrEnum):
    """What a link is for; the salt of its signature."""

    INVITATION = "invitation"
    SEND = "send"
    PASSWORD = "password"  # noqa: S105  # sets a new one
    UNDO = "undo"
    PROOF = "proof"  # somebody proved to own an ID a moment ago


@dataclass(frozen=True, slots=True, repr=False)
class LinkKeys:
    """The keys of links, oldest first; at least one, each of at least 32 bytes, else ValueError."""

    keys: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if not self.keys or any(len(key) < MIN_KEY for key in self.keys):
            raise ValueError(f"links need one or more keys of at least {MIN_KEY} bytes")

    def __repr__(self) -> str:
        return "LinkKeys(***)"


@dataclass(frozen=True, slots=True)
class Expired:
    """A token of ours and of this purpose whose time is over."""

    id: bytes


@dataclass(frozen=True, slots=True)
class Invalid:
    """Anything else that is no token; it has no reason to tell."""


INVALID: Final = Invalid()


def sign(keys: LinkKeys, purpose: Purpose, *, id: bytes, expires_at: Instant) -> str:  # noqa: A002  # the word of the tables
    """The token, 71 characters of the URL-safe alphabet and one dot; its time is cut to whole seconds."""
    if len(id) != ID_BYTES:
        raise ValueError(f"the id of a link has {ID_BYTES} bytes")
    payload = id + (expires_at // SECOND).to_bytes(_EXPIRY_BYTES, "big")
    return _signer(keys, purpose).sign(base64_encode(payload)).decode("ascii")


def open_(keys: LinkKeys, purpose: Purpose, token: str, *, now: Instant) -> bytes | Expired | Invalid:
    """The id in a token that is ours, of this purpose and in time."""
    parts = _SHAPE.fullmatch(token)
    if parts is None:
        return INVALID
    payload = urlsafe_b64decode(parts[1] + "=")
    # Signed is the text of the payload, so it is spelt again: bits that mean nothing shall not decide anything.
    canonical = base64_encode(payload) + b"." + parts[2].encode("ascii")
    try:
        _signer(keys, purpose).unsign(canonical)
    except BadSignature:
        return INVALID
    link_id, expires_at = payload[:ID_BYTES], int.from_bytes(payload[ID_BYTES:], "big") * SECOND
    return link_id if now < expires_at else Expired(link_id)


def short_code(keys: LinkKeys, id: bytes) -> str:  # noqa: A002  # as above
    """The 8 digits that stand for a link on the front page."""
    digest = hmac.digest(keys.keys[-1], b"mailgate short code " + id, "sha256")
    return f"{int.from_bytes(digest[:16], 'big') % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def short_code_index(keys: LinkKeys, code: str) -> bytes:
    """The 16 bytes under which a code is stored: those of the newest key."""
    return _index(keys.keys[-1], code)


def short_code_indexes(keys: LinkKeys, code: str) -> tuple[bytes, ...]:
    """The digests under which a typed code may be stored, newest key first: codes outlive a rotation of keys."""
    return tuple(_index(key, code) for key in reversed(keys.keys))


def read_short_code(text: str) -> str | None:
    """The 8 digits of what somebody typed, with blanks, hyphens and full-width digits; None if it is no code."""
    digits = compact(text)
    return digits if re.fullmatch(r"[0-9]{8}", digits) else None


def compact(text: str) -> str:
    """What was typed from paper without its grouping: NFKC, no blanks, no hyphens of any kind; "" if it is too long to be one."""
    text = text.strip()
    return _GAPS.sub("", normalize("NFKC", text)) if len(text) <= _TYPED_BOUND else ""


def _signer(keys: LinkKeys, purpose: Purpose) -> Signer:
    return Signer(keys.keys, salt=f"mailgate.link.{purpose}", digest_method=sha256)


def _index(key: bytes, code: str) -> bytes:
    return hmac.digest(key, b"mailgate short code index " + code.encode("utf-8"), "sha256")[:16]
