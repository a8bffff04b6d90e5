"""Return paths: the keyed tokens in the addresses and Message-IDs of our own mail.

A bounce, a receipt or a stop comes back to an address that we made. Its token says which outbox row it is about and proves that we
said so: 26 characters of base32's alphabet in lower case, ten for the id (6 bytes, RFC 4648) and sixteen for a tag of 80 bits. One keyed
BLAKE2b (RFC 7693) of the id gives the tags of all purposes, because the sender makes them for every copy: 64 octets, of each the lower
five bits, are four tags. A tag of one slot therefore says nothing about another.

Mail servers fold the case of local parts, so case is never meaning here. A token is read only in its one canonical spelling: the two
bits that an id leaves over must be zero. Whatever is foreign, altered, truncated or of another purpose is None, without a reason.
Keys have 32 to 64 bytes; the newest makes, each of the list opens, and the time it takes does not tell which one did.
"""

import hmac
import re
from base64 import b32decode
from enum import IntEnum
from hashlib import blake2b
from typing import Final, NamedTuple

MIN_KEY: Final = 32
TOKEN_LENGTH: Final = 26

_ID_BYTES: Final = 6
_ID_LENGTH: Final = 10
# The links' key also makes other things; this keeps their messages apart.
_PERSON: Final = b"mailgate returns"

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)  # digits of base 1024
_BY_LOWER_BITS: Final = _ALPHABET.encode() * 8

_SHAPE: Final = re.compile(r"[A-Za-z2-7]{26}")


class Slot(IntEnum):
    """What a token is good for; the number is the place of its tag in the digest and never changes."""

    BOUNCE = 0
    RECEIPT = 1
    STOP = 2
    MESSAGE_ID = 3


class Tokens(NamedTuple):
    """The tokens of one outbox row, each 26 characters of a-z and 2-7; made by `tokens`, and found by the number of its slot too."""

    bounce: str
    receipt: str
    stop: str
    message_id: str

    def __repr__(self) -> str:
        return "Tokens(***)"


def tokens(key: bytes, id: int) -> Tokens:  # noqa: A002  # the one word for it, in tables and records too
    """All tokens of the outbox row `id` (below 2**48) by one keyed digest; a key under 32 bytes is a ValueError."""
    if len(key) < MIN_KEY:
        raise ValueError(f"a key for return paths has at least {MIN_KEY} bytes")
    packed, pairs = id.to_bytes(_ID_BYTES, "big"), _PAIRS
    head = f"{pairs[id >> 38]}{pairs[id >> 28 & 1023]}{pairs[id >> 18 & 1023]}{pairs[id >> 8 & 1023]}{pairs[id << 2 & 1023]}"
    digest = blake2b(packed, key=key, person=_PERSON).digest()
    tags = digest.translate(_BY_LOWER_BITS).decode()
    return Tokens(head + tags[:16], head + tags[16:32], head + tags[32:48], head + tags[48:])


def open_token(keys: tuple[bytes, ...], slot: Slot, token: str) -> int | None:
    """The outbox id of a token that one of our keys made for this purpose, else None."""
    if _SHAPE.fullmatch(token) is None:
        return None
    spelt = token.lower()
    outbox_id = int.from_bytes(b32decode(token[:_ID_LENGTH].upper() + "======"), "big")
    # No early end: which key it was, or how much of the tag was right, must not show in the time.
    matches = [hmac.compare_digest(tokens(key, outbox_id)[slot], spelt) for key in keys]
    return outbox_id if any(matches) else None
