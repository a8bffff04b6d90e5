"""Pausing: when invitations to a site stop for a while.

Somebody who sends forged blank mails makes us write to mailboxes that are not there, and a site that sees many of those from one sender
shuts it out for hours, emergencies included. So when more than one in twenty of an hour's invitations to a site come back as unknown, no
more go there until that has passed. Guardians wait or ask again; broadcasts go to proven addresses and are never paused.

What a guardian's own filter refuses says nothing about an address: KDDI writes `550 : User unknown` for that, with nothing where it names
the address of a mailbox that is gone.
"""

import re
from dataclasses import dataclass
from typing import Final

from mailgate.core.delivery import State
from mailgate.core.instants import HOUR
from mailgate.core.relay import Phase

WINDOW: Final = HOUR
TOLD_EVERY: Final = HOUR
FEWEST: Final = 20  # sent: of fewer nothing is concluded
_ONE_IN: Final = 20

# RFC 3463 section 3.2, less what is about our side; RFC 7505 section 4.
_UNKNOWN: Final = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
_VAGUE: Final = frozenset({None, "5.0.0", "5.5.0"})
_CODES: Final = frozenset({550, 551, 553})
_FILTERED: Final = re.compile(r"(?:\A|\b550[ -]+)(?:<>)? ?: ?user unknown", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Invitations to one site that ended alike: how, and how many."""

    state: State
    phase: str | None
    code: int | None
    enhanced: str | None
    text: str | None
    count: int


def is_unknown(ended: Ended) -> bool:
    """Whether an invitation came back because there is no such mailbox."""
    if ended.state is not State.BOUNCED and not (ended.state is State.FAILED and ended.phase == Phase.RCPT):
        return False
    if _FILTERED.search(ended.text or ""):
        return False
    return ended.enhanced in _UNKNOWN or (ended.enhanced in _VAGUE and ended.code in _CODES)


def must_pause(*, sent: int, unknown: int) -> bool:
    """Whether a site gets no more invitations for now."""
    return sent >= FEWEST and unknown * _ONE_IN > sent
