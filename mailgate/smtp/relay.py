"""The way out: copies handed to the next server over connections that stay open.

- One recipient in each transaction (MR-38). What goes out between the brackets is exactly the copy's recipient: commands are written by
  us, since a library's clean-up turns `a[b@x` into the mailbox of somebody else. Both ends are read by our own rule first (MR-43).
- Each step sets the phase before it begins, so that whatever goes wrong is filed under the step it went wrong in (MR-50).
- A connection carries up to MAILS_EACH mails and is then replaced; an envelope that was left open is reset before the next one. One that
  fails, is answered 421 or falls out of step is dropped. Servers close idle connections, which shows only at the next use: when a kept
  connection breaks before the next envelope has begun, nothing was said yet, and the copy takes a new one.
- After the final dot the answer is waited for 600 s (RFC 5321 section 4.5.3.2.6): who hangs up earlier makes duplicates (RFC 1047).
- What a server says about itself or about our login is no verdict on a copy: only a 5xx to MAIL, RCPT, DATA or the final dot refuses.

Transactions go command by command. Nothing outside `_Line.transact` knows that.
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from typing import Final, Literal

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientsRefused,
    SMTPResponse,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from mailgate.core.addresses import BadPath, parse_spec
from mailgate.core.relay import BEFORE_ANY_COPY, Accepted, Copy, Deferred, Outcome, Phase, Refused, enhanced_of, masked
from mailgate.runtime import Clock

MAILS_EACH: Final = 100  # some carriers count what comes over one connection

# 5xx that are not about the copy: out of step, no such command, no mail taken here at all, and all that is about our login or TLS.
_NOT_ABOUT_THE_COPY: Final = frozenset({502, 503, 521, 530, 534, 535, 538})
_CLOSING: Final = 421
_OUT_OF_STEP: Final = 503
# What a socket, TLS or the SMTP library raise when the other side misbehaves.
_FAULTS: Final = (SMTPException, OSError, ValueError, RuntimeError, TypeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextServer:
    """The server that takes all our mail, and how we come to it."""

    host: str
    port: int
    helo: str  # our own name
    connections: int = 16
    tls: Literal["none", "offered", "required"] = "offered"
    verify: bool = False
    username: str = ""  # "": no login; with one, `offered` means `required`
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many seconds are waited for what."""

    connect: float = 30
    command: float = 120
    final_dot: float = 600
    idle: float = 60  # a connection that rested longer is not used again
    goodbye: float = 5


class SmtpRelay:
    """A relay (core.relay.Relay) that speaks SMTP."""

    def __init__(self, server: NextServer, *, clock: Clock, patience: Patience | None = None) -> None:
        self._server = server
        self._clock = clock
        self._patience = patience or Patience()
        self._tls = None if server.tls == "none" else _context(verify=server.verify)
        self._places = asyncio.Semaphore(server.connections)
        self._kept: list[_Line] = []  # the one used last is used next, so that a lull lets the others go

    async def hand_over(self, copy: Copy) -> Outcome:
        """Say what became of the copy. Raises nothing but CancelledError."""
        fault = unfit(copy)
        if fault is not None:
            return Refused(phase=Phase.INTERNAL, code=None, enhanced=None, text=fault)
        async with self._places:
            line = await self._kept_line()
            if line is not None:
                outcome = await self._through(line, copy)
                if line.is_open or line.phase is not Phase.MAIL:
                    return outcome
            return await self._through(_Line(self._server, self._patience, self._tls), copy)

    async def close(self) -> None:
        """Part with the server politely. Nothing is under way any more."""
        lines, self._kept = self._kept, []
        await asyncio.gather(*[line.part() for line in lines])

    async def _kept_line(self) -> "_Line | None":
        while self._kept:
            line = self._kept.pop()
            rested = self._clock.monotonic() - line.used_at
            if line.is_open and line.mails < MAILS_EACH and rested <= self._patience.idle:
                return line
            await line.part()
        return None

    async def _through(self, line: "_Line", copy: Copy) -> Outcome:
        finished = False
        try:
            if not line.is_open:
                await line.open()
            outcome = await line.transact(copy)
            finished = True
        except _FAULTS as error:
            outcome = outcome_of(error, phase=line.phase, about=copy.recipient)
        finally:
            if not finished:
                line.drop()
        if line.is_open:
            line.used_at = self._clock.monotonic()
            self._kept.append(line)
        return outcome


class _Line:
    """One connection: the library opens it, we speak on it."""

    def __init__(self, server: NextServer, patience: Patience, tls: ssl.SSLContext | None) -> None:
        self._server = server
        self._patience = patience
        self._smtp = SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=server.helo,
            start_tls=False,  # by us, so that its phase is known
            # Its own time-outs are asyncio.wait_for, which before Python 3.12 lets a cancellation go under when the answer comes in the
            # same moment: the copy would go on, for minutes. All waiting is limited here, by asyncio.timeout.
            timeout=None,
            tls_context=tls,
        )
        self._envelope_open = False
        self.phase = Phase.CONNECT
        self.mails = 0
        self.used_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._smtp.is_connected

    async def open(self) -> None:
        """Connect, greet, secure, log in."""
        server, smtp = self._server, self._smtp
        self.phase = Phase.CONNECT
        async with asyncio.timeout(self._patience.connect):
            await smtp.connect()
        await self._greet()
        if self._wants_tls():
            self.phase = Phase.TLS
            async with asyncio.timeout(self._patience.connect):
                await smtp.starttls()
            await self._greet()
        if server.username:
            self.phase = Phase.AUTH
            async with asyncio.timeout(self._patience.command):
                await smtp.login(server.username, server.password)

    async def _greet(self) -> None:
        self.phase = Phase.EHLO
        async with asyncio.timeout(self._patience.command):
            try:
                await self._smtp.ehlo()
            except SMTPHeloError:
                await self._smtp.helo()

    def _wants_tls(self) -> bool:
        match self._server.tls:
            case "none":
                return False
            case "required":
                return True
            case "offered":  # a password is not for everybody on the way to read
                return bool(self._server.username) or self._smtp.supports_extension("starttls")

    async def transact(self, copy: Copy) -> Outcome:
        """One mail to one recipient."""
        self.phase = Phase.MAIL
        if self._envelope_open and not _is_yes(await self._say(b"RSET")):
            raise SMTPServerDisconnected("the envelope before cannot be reset")
        self._envelope_open = False
        reply = await self._say(b"MAIL", b"FROM:<%b>" % copy.sender.encode("ascii"))
        if not _is_yes(reply):
            return self._no(reply, copy)
        self._envelope_open = True
        self.phase = Phase.RCPT
        reply = await self._say(b"RCPT", b"TO:<%b>" % copy.recipient.encode("ascii"))
        if not _is_yes(reply):
            return self._no(reply, copy)
        self.phase = Phase.DATA
        reply = await self._say(b"DATA")
        if reply.code != 354:
            return self._no(reply, copy)
        self.phase = Phase.EOD
        reply = await self._content(stuffed(copy.content))
        self._envelope_open = False
        self.mails += 1
        if not _is_yes(reply):
            return self._no(reply, copy)
        return Accepted(code=reply.code, text=masked(reply.message, about=copy.recipient))

    async def _say(self, *words: bytes) -> SMTPResponse:
        async with asyncio.timeout(self._patience.command):
            return await self._smtp.execute_command(*words)

    async def _content(self, data: bytes) -> SMTPResponse:
        protocol = self._smtp.protocol
        if protocol is None:
            raise SMTPServerDisconnected("the connection was lost before the content")
        protocol.write(data)
        async with asyncio.timeout(self._patience.final_dot):
            return await protocol.read_response()

    def _no(self, reply: SMTPResponse, copy: Copy) -> Deferred | Refused:
        """A reply that is no yes. The connection goes on unless the server leaves it or has lost its place."""
        if reply.code in (_CLOSING, _OUT_OF_STEP) or not 400 <= reply.code <= 599:
            self.drop()
        return negative(self.phase, reply.code, reply.message, about=copy.recipient)

    async def part(self) -> None:
        """Say goodbye and close."""
        with contextlib.suppress(*_FAULTS):
            async with asyncio.timeout(self._patience.goodbye):
                await self._smtp.quit()
        self.drop()

    def drop(self) -> None:
        self._smtp.close()


def unfit(copy: Copy) -> str | None:
    """Why a copy is not one to put on the wire, or None."""
    try:
        parse_spec(copy.sender)
        parse_spec(copy.recipient)
    except BadPath:
        return "the envelope is not one that we send"
    line_ends = copy.content.count(b"\r\n")
    if copy.content.count(b"\r") != line_ends or copy.content.count(b"\n") != line_ends:
        return "a line of the content does not end in CRLF"
    return None


def stuffed(content: bytes) -> bytes:
    """The content as it goes over the wire, final dot included (RFC 5321 section 4.5.2)."""
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def outcome_of(error: Exception, *, phase: Phase, about: str = "") -> Deferred | Refused:
    """What an exception of the library, of a socket or of TLS means for the copy that was under way."""
    match error:
        case SMTPRecipientsRefused(recipients=[first, *_]):
            return negative(Phase.RCPT, first.code, first.message, about=about)
        case SMTPResponseException():
            return negative(phase, error.code, error.message, about=about)
        case _:
            return Deferred(
                phase=phase, code=None, enhanced=None, text=masked(str(error) or type(error).__name__, about=about)
            )


def negative(phase: Phase, code: int, text: str, *, about: str = "") -> Deferred | Refused:
    """What a reply that is no yes means. What is not understood is Deferred."""
    final = phase not in BEFORE_ANY_COPY and 500 <= code <= 599 and code not in _NOT_ABOUT_THE_COPY
    return (Refused if final else Deferred)(
        phase=phase,
        code=code if 200 <= code <= 599 else None,
        enhanced=enhanced_of(text),
        text=masked(text, about=about),
    )


def _is_yes(reply: SMTPResponse) -> bool:
    return 200 <= reply.code <= 299


def _context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
