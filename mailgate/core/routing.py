"""Routing: which of our boxes a recipient means.

A local part is a box, or a box and a tag split at the first `+`. Whether a tag belongs there is part of the name:
`haishin@` without an audience and `touroku+x@` are no boxes. Case is ignored in both, because phones capitalise and
relays fold, and no token of ours needs it. What is not found is unknown, and the listener answers all unknown ones
alike. Whether a token is genuine is decided after acceptance: at RCPT time a stranger must not learn it.

Several boxes ask for an invitation. They differ in what they say about their writer besides: the language, or that
links do not reach this phone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from mailgate.core.addresses import Address
from mailgate.core.readers import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxNames:
    """The local parts that the operator may rename."""

    join: str = "touroku"
    code: str = "code"
    en: str = "en"
    easy: str = "yasashii"
    id: str = "id"
    broadcast: str = "haishin"
    replies: str = "renraku"
    receipt: str = "k"
    bounce: str = "b"
    stop: str = "yame"


@dataclass(frozen=True, slots=True)
class Join:
    """A guardian asks for an invitation."""

    language: Language | None = None  # the one that is asked for; None: as it was
    no_url: bool = False  # links do not reach this phone


@dataclass(frozen=True, slots=True)
class AskIds:
    """A guardian asks under which login IDs this address is registered."""


@dataclass(frozen=True, slots=True)
class ToBroadcast:
    """Staff write to an audience; the audience is not yet checked."""

    audience: str


@dataclass(frozen=True, slots=True)
class Replies:
    """Somebody answers to the From of our mail."""


@dataclass(frozen=True, slots=True)
class ToReceipt:
    """A guardian answers to a broadcast."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToBounce:
    """A mail server tells what became of a copy."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToStop:
    """A mail program stops ordinary mail for its owner."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Operator:
    """Mail to the people who run the gate (RFC 2142)."""


Box = Join | AskIds | ToBroadcast | Replies | ToReceipt | ToBounce | ToStop | Operator

_OPERATOR = frozenset({"postmaster", "abuse"})


def is_ours(recipient: Address, domain: str) -> bool:
    """Whether the recipient is in the gate's domain; all else would be relaying."""
    return recipient.domain == domain.lower()


def route(recipient: Address, *, domain: str, names: BoxNames) -> Box | None:
    """The box that a recipient means, or None: there is no such box here."""
    if not is_ours(recipient, domain):
        return None
    base, plus, tag = recipient.local.lower().partition("+")
    if not plus:
        return _plain(names).get(base)
    make = _tagged(names).get(base)
    return make(tag) if make and tag else None


@cache
def _plain(names: BoxNames) -> dict[str, Box]:
    boxes: dict[str, Box] = {
        names.join.lower(): Join(),
        names.code.lower(): Join(no_url=True),
        names.en.lower(): Join(language=Language.EN),
        names.easy.lower(): Join(language=Language.EASY),
        names.id.lower(): AskIds(),
        names.replies.lower(): Replies(),
    }
    return boxes | dict.fromkeys(_OPERATOR, Operator())


@cache
def _tagged(names: BoxNames) -> dict[str, Callable[[str], Box]]:
    return {
        names.broadcast.lower(): ToBroadcast,
        names.receipt.lower(): ToReceipt,
        names.bounce.lower(): ToBounce,
        names.stop.lower(): ToStop,
    }
