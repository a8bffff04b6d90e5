"""Replies: every word that leaves by SMTP from our side, in one table.

A reply is a Reply, made here; nothing else passes the conversation's `push`. What aiosmtpd says by itself is replaced by what this
table has for its code, so no text of a library, a version, an exception or an address can leave. Enhanced codes (RFC 2034, RFC 3463)
stand in all replies but the greetings and 354, which have none. After a temporary code the peer comes again: anything that may be our
fault is 4xx. 421 and 521 end the conversation, as 221 does.
"""

from typing import Final


class Reply(str):
    """One reply, of one line or several, without the last CRLF."""

    __slots__ = ()

    @property
    def code(self) -> int:
        """The three digits."""
        return int(self[:3])

    @property
    def ends(self) -> bool:
        """Whether the connection is closed after it (RFC 5321 section 3.8, RFC 7504 section 3)."""
        return self.startswith(("221", "421", "521"))


DONE: Final = Reply("250 2.0.0 OK")
SENDER_OK: Final = Reply("250 2.1.0 Sender OK")
RECIPIENT_OK: Final = Reply("250 2.1.5 Recipient OK")
ACCEPTED: Final = Reply("250 2.0.0 Accepted: it is kept")
BYE: Final = Reply("221 2.0.0 Goodbye")
TLS_READY: Final = Reply("220 2.0.0 Ready to start TLS")
NOT_VERIFIED: Final = Reply("252 2.0.0 Not verified here; send the mail and see")
HELP: Final = Reply("214 2.0.0 RFC 5321 is spoken here")
GO_AHEAD: Final = Reply("354 End the mail with <CR><LF>.<CR><LF>")

TROUBLE: Final = Reply("451 4.3.0 Temporary failure; please try again later")
NO_ROOM: Final = Reply("452 4.3.1 No room at the moment; please try again later")
TOO_MANY_RECIPIENTS: Final = Reply("452 4.5.3 Too many recipients; please send the rest in another mail")
NO_TLS: Final = Reply("454 4.7.0 TLS is not available")

BUSY: Final = Reply("421 4.7.0 Too many connections; please try again later")
BUSY_FOR_YOU: Final = Reply("421 4.7.0 Too many connections from your network; please try again later")
STOPPING: Final = Reply("421 4.3.2 The service is stopping; please try again later")
IDLE: Final = Reply("421 4.4.2 Waited too long for you; please try again later")
SLOW: Final = Reply("421 4.4.2 The mail took too long; please try again later")
TOO_MANY_COMMANDS: Final = Reply("421 4.7.0 Too many commands without a mail")
TOO_MANY_ERRORS: Final = Reply("421 4.7.0 Too many errors")
ENDLESS_LINE: Final = Reply("421 4.7.0 The command line does not end")

BAD_COMMAND: Final = Reply("500 5.5.2 Command not recognized")
LONG_COMMAND: Final = Reply("500 5.5.2 Command line too long")
BAD_SYNTAX: Final = Reply("501 5.5.4 Syntax error in the parameters")
NOT_IMPLEMENTED: Final = Reply("502 5.5.1 Command not implemented")
BAD_SEQUENCE: Final = Reply("503 5.5.1 Bad sequence of commands")
BARE_LF: Final = Reply("521 5.5.2 Lines end with <CR><LF>")
NO_SUCH_BOX: Final = Reply("550 5.1.1 No such box here")
NO_RELAYING: Final = Reply("550 5.7.1 This host does not relay")
TOO_BIG: Final = Reply("552 5.3.4 The mail is too big")
BAD_PATH: Final = Reply("553 5.1.3 The address cannot be read")
UNSECURED: Final = Reply("554 5.7.0 Refused for want of security")
BAD_PARAMETER: Final = Reply("555 5.5.4 Parameter not supported")

# What leaves instead of aiosmtpd's own words. 220 is its answer to STARTTLS; our banner is said by ourselves.
_BY_CODE: Final = {
    reply.code: reply
    for reply in (
        *(TLS_READY, BYE, DONE, NOT_VERIFIED, NO_TLS, BAD_COMMAND, BAD_SYNTAX, NOT_IMPLEMENTED),
        *(BAD_SEQUENCE, TOO_BIG, BAD_PATH, UNSECURED, BAD_PARAMETER),
    )
}


def banner(hostname: str) -> Reply:
    """The greeting: who we are, and neither program nor version (MR-14)."""
    return Reply(f"220 {hostname} ESMTP")


def helo(hostname: str) -> Reply:
    """The answer to HELO."""
    return Reply(f"250 {hostname}")


def ehlo(hostname: str, *, size: int, tls: bool) -> Reply:
    """The answer to EHLO: what we can do. No AUTH (staff log in elsewhere) and no SMTPUTF8 (paths are ASCII)."""
    extensions = [
        hostname,
        f"SIZE {size}",
        "8BITMIME",
        "PIPELINING",
        "ENHANCEDSTATUSCODES",
        *(["STARTTLS"] if tls else []),
    ]
    return Reply("\r\n".join([*(f"250-{line}" for line in extensions[:-1]), f"250 {extensions[-1]}"]))


def leaving(said: str | bytes) -> Reply:
    """What leaves when this is said: a reply of ours unchanged, anything else replaced by its code; unknown is temporary."""
    if isinstance(said, Reply):
        return said
    return _BY_CODE.get(int(said[:3]), TROUBLE) if said[:3].isdigit() else TROUBLE
