"""Hooks: what aiosmtpd asks while it works through a command, and what we answer.

aiosmtpd finds a hook by its name and passes over a misspelt one in silence, which at RCPT would take mail for anybody: a test compares
the names here with those it calls. A hook returns a reply from the table and nothing else.
"""

from collections.abc import Sequence
from typing import Final, assert_never

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from mailgate.core.addresses import parse_spec
from mailgate.core.admission import Admission
from mailgate.core.outages import StoreFull
from mailgate.logs import fault_of
from mailgate.smtp import replies
from mailgate.smtp.door import Terms

log = structlog.get_logger()


class Hooks:
    """The answers of one listener."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def __dir__(self) -> Sequence[str]:
        """The hooks (smtp.commands)."""
        return _NAMES

    async def handle_MAIL(  # noqa: N802  aiosmtpd's name for it
        self, _server: SMTP, _session: Session, envelope: Envelope, sender: str, options: list[str]
    ) -> str:
        envelope.mail_from = sender
        envelope.mail_options.extend(options)
        return replies.SENDER_OK

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name for it
        self, _server: SMTP, _session: Session, envelope: Envelope, recipient: str, _options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= self._terms.limits.recipients:
            return replies.TOO_MANY_RECIPIENTS
        admission = self._terms.door.admits(parse_spec(recipient))
        match admission:
            case Admission.OURS:
                envelope.rcpt_tos.append(recipient)  # the one place that does: without it DATA is refused
                return replies.RECIPIENT_OK
            case Admission.UNKNOWN:
                return replies.NO_SUCH_BOX
            case Admission.FOREIGN:
                return replies.NO_RELAYING
            case _:
                assert_never(admission)

    async def handle_exception(self, error: Exception) -> str:
        if isinstance(error, StoreFull):
            log.warning("mail.deferred", reason="store_full")
            return replies.NO_ROOM
        log.error("listener.fault_caught", fault=fault_of(error))
        return replies.TROUBLE


_NAMES: Final = tuple(name for name in dir(Hooks) if name.startswith("handle_"))
