"""Mails as the demo's people read and write them: what a phone shows of one, and the few that they write themselves."""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from mailgate.core.instants import to_datetime
from mailgate.demo.catcher import Caught
from mailgate.demo.story import Amiss
from mailgate.demo.wire import Outgoing
from mailgate.runtime import Clock, Dice

_URL: Final = re.compile(r"https?://[^\s<>]+")
_REPORT: Final = """\
From: Mail Delivery Subsystem <MAILER-DAEMON@{host}>
To: <{to}>
Subject: Undelivered Mail Returned to Sender
Date: {date}
Message-ID: <{id}@{host}>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="=_report"

--=_report
Content-Type: text/plain; charset=us-ascii

The mailbox of <{recipient}> does not exist.

--=_report
Content-Type: message/delivery-status

Reporting-MTA: dns; {host}

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <{recipient}>: Recipient address rejected: User unknown

--=_report--
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What somebody sees of a mail."""

    subject: str
    text: str
    to: str
    reply_to: str
    headers: tuple[tuple[str, str], ...]

    @property
    def link(self) -> str:
        """The one URL in the text, which stands alone on its line.

        Raises:
            Amiss: there is none, or another one.
        """
        found = _URL.findall(self.text)
        if len(found) != 1 or found[0] not in self.text.splitlines():
            raise Amiss(f"the mail {self.subject} has {len(found)} URLs and should have one, alone on its line")
        return str(found[0])

    def links(self, path: str) -> list[str]:
        """The URLs alone on their lines that lead to such a page."""
        return [line for line in self.text.splitlines() if _URL.fullmatch(line) and path in line]

    @property
    def children(self) -> tuple[str, ...]:
        """The pupils whom a copy names."""
        ending = " さん"
        return tuple(sorted(line.removesuffix(ending) for line in self.text.splitlines() if line.endswith(ending)))


def read(mail: Caught) -> Reading:
    """Decode a mail."""
    message = message_from_bytes(mail.content, policy=policy.default)
    body = message.get_body(("plain",))
    headers = tuple((name, " ".join(str(value).split())) for name, value in message.raw_items())
    return Reading(
        subject=str(message["Subject"] or ""),
        text=str(body.get_content()).replace("\r\n", "\n") if body is not None else "",
        to=", ".join(value for name, value in headers if name.lower() == "to"),
        reply_to=str(message["Reply-To"] or ""),
        headers=headers,
    )


class Pen:
    """Writes what the demo's people send."""

    def __init__(self, clock: Clock, dice: Dice) -> None:
        self._clock = clock
        self._dice = dice

    def _date(self) -> str:
        return format_datetime(to_datetime(self._clock.now()))

    def _id(self) -> str:
        return self._dice.octets(12).hex()

    def empty_reply(self, mail: Caught) -> Outgoing:
        """The receiver of a mail presses reply and sends, without a word."""
        host = mail.recipient.rpartition("@")[2]
        head = f"From: <{mail.recipient}>\r\nDate: {self._date()}\r\nMessage-ID: <{self._id()}@{host}>\r\nSubject: Re:\r\n\r\n"
        return Outgoing(sender=mail.recipient, recipient=read(mail).reply_to, content=head.encode("ascii"))

    def staff_mail(self, *, sender: str, name: str, recipient: str, subject: str, text: str) -> Outgoing:
        """What a mail program makes of a teacher's words."""
        message = EmailMessage(policy=policy.SMTP)
        message["From"] = f"{name} <{sender}>"
        message["To"] = recipient
        message["Subject"] = subject
        message["Date"] = self._date()
        message["Message-ID"] = f"<{self._id()}@{sender.rpartition('@')[2]}>"
        message.set_content(text, charset="utf-8", cte="base64")
        return Outgoing(sender=sender, recipient=recipient, content=message.as_bytes())

    def bounce(self, mail: Caught) -> Outgoing:
        """A later server could not deliver a mail after all, and tells its envelope sender (RFC 3464)."""
        report = _REPORT.format(
            host="mx." + mail.recipient.rpartition("@")[2],
            to=mail.sender,
            date=self._date(),
            id=self._id(),
            recipient=mail.recipient,
        )
        return Outgoing(sender="", recipient=mail.sender, content=report.replace("\n", "\r\n").encode("ascii"))
