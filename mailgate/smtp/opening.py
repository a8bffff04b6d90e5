"""Opening: how a connection to the next server comes to where mails may begin.

aiosmtplib connects, greets, secures and logs in; then its transport is ours and it has no more part in it. Each step sets the phase before
it begins, so that whatever goes wrong is filed under the step it went wrong in (MR-50). What a server says about itself, about TLS or about
our login is no verdict on a copy: in all these phases the copy that waits for the connection is put off.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPHeloError,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from mailgate.core.relay import Deferred, Phase, enhanced_of, masked

# What a socket, TLS or the SMTP library raise when the other side misbehaves.
FAULTS: Final = (SMTPException, OSError, ValueError, RuntimeError, TypeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class NextServer:
    """A server that takes all our mail, and how we come to it."""

    host: str
    port: int
    helo: str  # our own name
    tls: Literal["none", "offered", "required"] = "offered"
    verify: bool = False
    username: str = ""  # "": no login; with one, `offered` means `required`
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many seconds are waited for what."""

    connect: float = 30
    command: float = 120
    final_dot: float = 600  # RFC 5321 section 4.5.3.2.6: who hangs up earlier makes duplicates (RFC 1047)
    idle: float = 60  # a connection that rested longer is given up
    goodbye: float = 5
    rests: tuple[float, ...] = (1, 2, 4, 8, 16, 30)  # between two attempts to connect that fail in a row
    away: float = 3  # nobody gets through, before a standby has its turn
    look: float = 30  # between two looks whether the first server is there again


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A connection on which mails may begin. Whoever gets it sets the transport's protocol at once."""

    transport: asyncio.Transport
    pipelining: bool
    size: int  # the largest mail it takes; 0: it does not say


class Opening:
    """One attempt; `phase` is how far it has come."""

    def __init__(self, server: NextServer, patience: Patience, tls: ssl.SSLContext | None) -> None:
        self._server = server
        self._patience = patience
        self._smtp = SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=server.helo,
            start_tls=False,  # by us, so that its phase is known
            # Its own time-outs are asyncio.wait_for, which before Python 3.12 lets a cancellation go under when the answer comes in the
            # same moment. All waiting is limited here, by asyncio.timeout.
            timeout=None,
            tls_context=tls,
        )
        self.phase = Phase.CONNECT

    async def run(self) -> Opened:
        """Connect, greet, secure, log in.

        Raises:
            one of FAULTS: it came no further than `phase`.
        """
        server, smtp = self._server, self._smtp
        try:
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
            return self._taken_over()
        except BaseException:
            smtp.close()
            raise

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

    def _taken_over(self) -> Opened:
        smtp = self._smtp
        if not smtp.is_connected or smtp.transport is None or smtp.protocol is None:
            raise SMTPServerDisconnected("the connection was lost")
        # What stands in the library's buffer behind the last answer would be lost, and the first of our answers be taken for the second.
        if smtp.protocol._buffer:  # noqa: SLF001  it has no other way to ask, and a test sees that this one works
            raise SMTPServerDisconnected("the server spoke without being asked")
        transport, smtp.transport = smtp.transport, None
        size = smtp.esmtp_extensions.get("size", "")
        return Opened(
            transport=cast("asyncio.Transport", transport),  # uvloop's own class is none by name
            pipelining=smtp.supports_extension("pipelining"),
            size=int(size) if size.isdecimal() and size.isascii() else 0,
        )


def outcome_of(error: Exception, *, phase: Phase) -> Deferred:
    """What an exception of the library, of a socket or of TLS means for the copy that waits for the connection."""
    code, text = (error.code, error.message) if isinstance(error, SMTPResponseException) else (None, str(error))
    return Deferred(
        phase=phase,
        code=code if code is not None and 200 <= code <= 599 else None,
        enhanced=enhanced_of(text),
        text=masked(text or type(error).__name__),
    )


def tls_context(server: NextServer) -> ssl.SSLContext | None:
    """What connections to a server are secured with, or None where they never are."""
    if server.tls == "none":
        return None
    context = ssl.create_default_context()
    if not server.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
