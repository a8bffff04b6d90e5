"""Reports: what another mail server says became of a copy (RFC 3464).

Who is meant is known from our own keyed return path, so the report only says what happened and why. The fields stand
in a message/delivery-status part, in groups with a blank line between them; the recipient's group is the one with an
Action or a Status, and a failure among several wins. Real ones come with any line ends, transfer encodings and
missing fields. Diagnostic text is kept for the operator with everything address-like masked, so that `550 : User
unknown` (the guardian's filter) and `550 <***>: User unknown` (no such mailbox) stay apart. Bounces as free text are
no reports.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mailgate.core.headers import Headers, decode_words, scan
from mailgate.core.mime import leaves
from mailgate.core.relay import masked

_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})
_ACTION_BY_CLASS = {"2": "delivered", "4": "delayed", "5": "failed"}
_STATUS = re.compile(r"(?<![\w.])([245]\.[0-9]{1,3}\.[0-9]{1,3})(?!\.?\d)")
_REPLY = re.compile(r"(?<![\w.])([245][0-9]{2})(?=[\s-]|$)")
_READ = 256 * 1024
_FIELDS = 32 * 1024
_GROUPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one report says about its recipient."""

    action: str
    status: str | None
    reply_code: int | None
    diagnostic: str


def read_report(content: bytes) -> Report | None:
    """The report in a mail, or None: there is none."""
    part = next((part for part in leaves(content[:_READ]) if part.type in _TYPES), None)
    if part is None:
        return None
    reports = [report for group in _groups(part.payload()[:_FIELDS]) if (report := _report(group))]
    return next((report for report in reports if report.action == "failed"), reports[0] if reports else None)


def _groups(fields: bytes) -> Iterator[Headers]:
    """The groups of fields that blank lines part; what is no field ends them."""
    at = 0
    for _ in range(_GROUPS):
        at += len(fields[at:]) - len(fields[at:].lstrip(b"\r\n"))
        group = scan(fields[at:])
        if not group.fields:
            return
        yield group
        at += group.body_at


def _report(group: Headers) -> Report | None:
    kind, _, text = (group.first("diagnostic-code") or "").partition(";")
    diagnostic = decode_words(text if kind.strip().lower() == "smtp" else f"{kind}; {text}" if text else kind)
    status = _STATUS.search(group.first("status") or "") or _STATUS.search(diagnostic)
    action = (group.first("action") or "").partition("(")[0].partition(";")[0].strip().lower()
    if action not in _ACTIONS:
        if status is None:
            return None
        action = _ACTION_BY_CLASS[status[1][0]]
    reply = _REPLY.search(diagnostic)
    recipient = (group.first("final-recipient") or "").partition(";")[2].replace('"', "")
    return Report(
        action=action,
        status=status[1] if status else None,
        reply_code=int(reply[1]) if reply else None,
        diagnostic=masked(diagnostic, about=recipient.strip()),
    )
