"""Answering: reply or silence, one table.

A reply to a machine is a loop, and a reply to a forged sender is backscatter; a guardian who gets none calls the
school. So each reason for silence is a sign that people's mail does not carry, and every one stands in SILENCE, first
match wins. The body is never looked at (MR-16). `X-Auto-Response-Suppress` is no sign: it asks others not to answer
automatically, and ordinary mail from Exchange carries it. Old carrier gateways send bounces as plain text with none
of the usual marks, which is why many weak signs are kept: a role as sender, a From that is not the sender, a subject
that only mail servers write. A role is read from the sender without its tag. Reply-To is never looked at. What needs
memory (rates, repeats) is decided elsewhere.

An answer goes to the sender, and to the author (From) if sender and author are one organisation's, the sender was made by a machine (a
signed or a forwarding return path) and the author's domain is proven (mail-reality 1.4). Never to anybody else. What the network says of
the author (core.authentication) comes last, since asking costs time, and only what it knows for sure is a reason: a domain that can tell
its mail from forged mail and did not send this one, a domain that is not there, a domain that takes no mail.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from mailgate.core.addresses import NULL_PATH, Address
from mailgate.core.authentication import Proof, Reach, Verdict
from mailgate.core.headers import Headers, author, decode_words
from mailgate.core.inbound import Inbound

MAX_HOPS = 30

_ROLES = frozenset({"mailer-daemon", "postmaster", "hostmaster", "abuse", "root", "daemon", "majordomo", "listserv"})
_MACHINE = re.compile(
    r"bounce|(?:no|do[-_.]?not)[-_.]?reply(?![a-z])"  # bounce, bounces-7, no-reply, donotreply
    r"|owner-|srs[01]=|srs[01][+-]|(?:ms)?prvs1?=|btv1=="  # lists, forwarders (SRS), signed senders (BATV)
    r"|.*-(?:request|bounces|owner)$"
)
_PRECEDENCE = frozenset({"bulk", "junk", "list", "auto_reply"})
_REPORTS = frozenset(
    {
        "multipart/report",
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
        "message/feedback-report",
    }
)
_AUTOREPLY = ("x-autoreply", "x-autorespond", "x-auto-reply-from", "x-mail-autoreply")
# Whole subjects, so that a person's "Re:" or "Fwd:" of one is still a person's mail.
_BOUNCE_SUBJECTS = frozenset(
    {
        "delivery failure",
        "delivery status notification",
        "delivery status notification (delay)",
        "delivery status notification (failure)",
        "failure notice",
        "mail delivery failed",
        "mail delivery failed: returning message to sender",
        "mail delivery subsystem",
        "mail system error - returned mail",
        "message delivery failure",
        "returned mail: see transcript for details",
        "returned mail: user unknown",
        "undeliverable mail",
        "undelivered mail returned to sender",
    }
)
_TYPE = re.compile(r"\s*([\w.+-]+/[\w.+-]+)")


# Return paths that programs make: signed ones (BATV), those of forwarders (SRS), those with the recipient in them (VERP).
_RETURN_PATH: Final = re.compile(
    r"(?:ms)?prvs1?=|btv1==|srs[01][=+-]|bounces?(?![a-z])|[^=]{1,64}=[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+\Z", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer may go, for a reason in one stable word."""

    reason: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """To whom an answer would go, if what the network knows allows it."""

    to: Address
    is_author_only: bool = False  # the sender is somebody else: the author must be proven


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    mail: Inbound
    headers: Headers
    domain: str
    sender: Address


def silence(mail: Inbound, headers: Headers, *, domain: str) -> str | None:
    """Why no reply may go to the sender of this mail, in one stable word; None: a reply may go."""
    if mail.sender is NULL_PATH:
        return "null_sender"
    facts = _Facts(mail=mail, headers=headers, domain=domain.lower(), sender=mail.sender)
    return next((reason for reason, holds in SILENCE if holds(facts)), None)


def candidate(mail: Inbound, headers: Headers, *, reason: str | None, domain: str) -> Candidate | Silent:
    """To whom an answer would go, by all that the mail itself says; `reason` is why none may go to the sender (`silence`)."""
    if mail.sender is NULL_PATH:
        return Silent("null_sender")
    if reason is None:
        return Candidate(mail.sender)
    from_ = author(headers)
    if not isinstance(from_, Address) or not _RETURN_PATH.match(mail.sender.local):
        return Silent(reason)
    # As if the author had sent it himself: then no reason may hold.
    is_fit = silence(replace(mail, sender=from_), headers, domain=domain) is None
    return Candidate(from_, is_author_only=True) if is_fit else Silent(reason)


def answer(candidate: Candidate, proof: Proof) -> Address | Silent:
    """To whom an answer goes, by all that is known."""
    reason = next((reason for reason, holds in UNPROVEN if holds(candidate, proof)), None)
    return candidate.to if reason is None else Silent(reason)


def _from_us(facts: _Facts) -> bool:
    return facts.sender.domain == facts.domain or facts.sender.domain.endswith("." + facts.domain)


def _from_role(facts: _Facts) -> bool:
    local = facts.sender.local.lower()
    base = local.partition("+")[0]
    return base in _ROLES or _MACHINE.match(local) is not None or _MACHINE.match(base) is not None


def _is_report(facts: _Facts) -> bool:
    types = (_TYPE.match(value) for value in facts.headers.all("content-type"))
    return any(type_ is not None and type_[1].lower() in _REPORTS for type_ in types)


def _names_failures(facts: _Facts) -> bool:
    return facts.headers.first("x-failed-recipients") is not None


def _auto_submitted(facts: _Facts) -> bool:
    # RFC 3834 section 5: anything but "no" is automatic; a keyword we do not know is one, too.
    return any(_keyword(value) != "no" for value in facts.headers.all("auto-submitted"))


def _precedence(facts: _Facts) -> bool:
    return any(_keyword(value) in _PRECEDENCE for value in facts.headers.all("precedence"))


def _from_list(facts: _Facts) -> bool:
    return facts.headers.has_prefix("list-")


def _autoreply(facts: _Facts) -> bool:
    return any(facts.headers.first(name) is not None for name in _AUTOREPLY)


def _our_loop(facts: _Facts) -> bool:
    return any(facts.domain in value.lower() for value in facts.headers.all("x-loop"))


def _too_many_hops(facts: _Facts) -> bool:
    return len(facts.headers.all("received")) > MAX_HOPS


def _many_boxes(facts: _Facts) -> bool:
    return len({recipient.key for recipient in facts.mail.recipients}) > 1


def _bounce_subject(facts: _Facts) -> bool:
    subject = facts.headers.first("subject")
    return subject is not None and " ".join(decode_words(subject).lower().split()) in _BOUNCE_SUBJECTS


def _differs(facts: _Facts) -> bool:
    # MR-20: the sender answers for the mail, From is whom its reader would answer. No From at all is a phone's own.
    from_ = author(facts.headers)
    return from_ is not None and (not isinstance(from_, Address) or from_.key != facts.sender.key)


def _keyword(value: str) -> str:
    """A value without its comment and parameters."""
    return value.partition(";")[0].partition("(")[0].strip().lower()


SILENCE: tuple[tuple[str, Callable[[_Facts], bool]], ...] = (
    ("own_domain", _from_us),
    ("role_sender", _from_role),
    ("delivery_report", _is_report),
    ("failed_recipients", _names_failures),
    ("auto_submitted", _auto_submitted),
    ("precedence", _precedence),
    ("list", _from_list),
    ("autoreply", _autoreply),
    ("loop", _our_loop),
    ("hops", _too_many_hops),
    ("bounce_subject", _bounce_subject),
    ("differs", _differs),
    # Last, because a staff mail may go to several audiences: this reason says that no other one holds.
    ("recipients", _many_boxes),
)

UNPROVEN: tuple[tuple[str, Callable[[Candidate, Proof], bool]], ...] = (
    ("dmarc", lambda _, proof: proof.verdict is Verdict.FAIL),
    ("differs", lambda who, proof: who.is_author_only and not (proof.verdict is Verdict.PASS and proof.is_aligned)),
    ("no_domain", lambda _, proof: proof.reach is Reach.NO_DOMAIN),
    ("null_mx", lambda _, proof: proof.reach is Reach.NULL_MX),
)
