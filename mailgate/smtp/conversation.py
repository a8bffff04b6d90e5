"""Conversation: one connection of a peer that brings mail.

aiosmtpd's protocol carries it: connection, upgrade to TLS, order and parameters of commands. Its command loop, its reading of paths and of
DATA and every word it says are replaced, because as they come they decode encoded-words in paths, hold what a peer sends without end,
refuse the long lines of phones, take bare LF for a line end, print addresses to a log and answer an exception with its text.

Rules. A mail is said to be accepted only after the Door has returned. A reply that ends the conversation ends it at once: what the peer
has sent ahead is not looked at. A peer that is gone cancels nothing: a mail on its way to COMMIT gets there, and is known by its digest
when it comes again; one that is not whole never happened. The clock runs only while we wait for the peer, never while we work.
"""

import asyncio
from contextlib import suppress
from typing import AnyStr, Final, cast

import structlog
from aiosmtpd.smtp import Envelope, TLSSetupException

from mailgate.core.addresses import parse_spec
from mailgate.core.inbound import Inbound
from mailgate.smtp import replies
from mailgate.smtp.commands import Commands
from mailgate.smtp.content import Content
from mailgate.smtp.door import Terms
from mailgate.smtp.envelope import declared_size, mailbox, read_recipient, read_sender
from mailgate.smtp.hooks import Hooks
from mailgate.smtp.patience import Patience
from mailgate.smtp.replies import Reply

LONGEST_COMMAND: Final = 2_048  # RFC 5321 section 4.5.3.1.4 asks for 512 and room for the parameters of extensions
OVERRUN: Final = 2**20  # octets past the advertised size that are read and dropped before the connection is cut

log = structlog.get_logger()


class Over(Exception):
    """The conversation has ended: the peer is gone or was sent away. No error of ours is one."""


class Conversation(Commands):
    """One connection. The listener makes it, tells it to stop, and waits for its task."""

    def __init__(self, terms: Terms, *, peer: str) -> None:
        limits = terms.limits
        self._patience = Patience(self._timeout_cb)
        self.line_length_limit = limits.line  # read by the base class to size its reader
        super().__init__(
            Hooks(terms),
            data_size_limit=limits.size,
            hostname=terms.hostname,
            tls_context=terms.tls,
            timeout=limits.idle_s,
            loop=asyncio.get_running_loop(),
        )
        self._terms = terms
        self._peer = peer
        self._input = bytearray()
        self._commands = 0
        self._errors = 0
        self._is_stopping = False

    @property
    def task(self) -> asyncio.Task[None]:
        """The task that holds the conversation; it ends when the connection is closed and nothing is under way."""
        return cast("asyncio.Task[None]", self._handler_coroutine)

    def stop(self) -> None:
        """Say goodbye now, or after the mail that is under way."""
        self._is_stopping = True
        if self._mail.mail_from is None:
            self._dismiss(replies.STOPPING)

    def cut(self) -> None:
        """End it whatever is under way; no 250 was said, so nothing is lost."""
        self._writer.transport.abort()
        self.task.cancel()

    async def _handle_client(self) -> None:
        try:
            await self.push(replies.banner(self.hostname))
            while True:
                await self._serve_command()
        except Over:
            pass  # what was not finished did not happen
        finally:
            self._close()
            with suppress(OSError):
                await self._writer.wait_closed()
            self._patience.close()

    async def _serve_command(self) -> None:
        line = await self._read_line()
        if len(line) > LONGEST_COMMAND:
            await self.push(replies.LONG_COMMAND)
            return
        self._commands += 1
        if self._commands > self._terms.limits.commands:
            await self.push(replies.TOO_MANY_COMMANDS)
        name, _, argument = line.decode("ascii", "surrogateescape").partition(" ")
        command = _COMMANDS.get(name.upper())
        if command is None:
            await self.push(replies.BAD_COMMAND)
            return
        try:
            await command(self, argument.strip() or None)
        except Over:
            raise
        except Exception as error:  # noqa: BLE001 - the outermost loop of mail's edge: the peer comes again, the next is served
            await self.push(await self.handle_exception(error))
        if self._is_stopping and self._mail.mail_from is None:
            await self.push(replies.STOPPING)

    async def _read_line(self) -> bytes:
        self._reset_timeout()
        while (end := self._input.find(b"\n")) < 0:
            if len(self._input) > self._terms.limits.line:
                await self.push(replies.ENDLESS_LINE)
            await self._read_more()
        self._stop_waiting()
        line = bytes(self._input[: end + 1])
        del self._input[: end + 1]
        if not line.endswith(b"\r\n"):
            # A program that takes LF for a line end sees other commands here than we do.
            await self.push(replies.BARE_LF)
        return line[:-2]

    async def _read_more(self) -> None:
        try:
            octets = await self._reader.read(self._terms.limits.line)
        except OSError as error:
            raise Over from error
        if not octets:
            raise Over
        self._input += octets

    async def push(self, status: AnyStr) -> None:
        """Say a reply; one that ends the conversation does so here, by raising Over."""
        if self._writer.is_closing():  # the last word has been said
            raise Over
        reply = self._tally(replies.leaving(status))
        self._reset_timeout()
        self._writer.write(reply.encode("ascii") + b"\r\n")
        if reply.ends:
            self._note(reply)
            raise Over
        try:
            await self._writer.drain()
        except OSError as error:
            raise Over from error
        if reply is not replies.TLS_READY:  # then the peer has the next move, and no command line of ours begins
            self._stop_waiting()

    def _tally(self, reply: Reply) -> Reply:
        """What a reply does to the peer's account: it may become the last one."""
        if reply is replies.ACCEPTED:
            self._commands = 0
        elif reply is replies.RECIPIENT_OK:
            self._commands -= 1
        elif reply.code >= 500:
            self._errors += 1
        return replies.TOO_MANY_ERRORS if self._errors > self._terms.limits.errors else reply

    # Commands.

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Read the path of MAIL and RCPT, and what follows it; (None, None) is answered 553 5.1.3 by the base class."""
        if self._mail.mail_from is None:  # so this is MAIL
            return read_sender(arg)
        return read_recipient(arg, domain=self.hostname)

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802  aiosmtpd's name for it
        """Read the content of a mail and give the mail to the Door."""
        if await self.check_helo_needed():
            return
        if not self._mail.rcpt_tos:
            await self.push(replies.BAD_SEQUENCE)
            return
        if arg:
            await self.push(replies.BAD_SYNTAX)
            return
        try:
            await self._take_mail()
        finally:
            self.envelope = self._create_envelope()

    async def _take_mail(self) -> None:
        terms, mail = self._terms, self._mail
        sender = mailbox(mail.mail_from)
        recipients = tuple(dict.fromkeys(parse_spec(recipient) for recipient in mail.rcpt_tos))
        limit = min(terms.limits.size, await terms.door.size_limit(sender, recipients))
        if declared_size(mail.mail_options) > limit:
            await self.push(replies.TOO_BIG)
            return
        await self.push(replies.GO_AHEAD)
        content = await self._read_content(limit)
        if content is None:
            await self.push(replies.TOO_BIG)
            return
        if self._writer.is_closing():
            # Known to be gone or sent away, so it will come again: accepting now would be once too often.
            raise Over
        await terms.door.receive(
            Inbound(
                sender=sender,
                recipients=recipients,
                peer=self._peer,
                received_at=terms.clock.now(),
                content=content,
            )
        )
        await self.push(replies.ACCEPTED)

    async def _read_content(self, limit: int) -> bytes | None:
        """The content of the mail, or None: it is too big. What comes beyond all measure or too slowly ends the conversation."""
        content = Content(limit)
        try:
            async with asyncio.timeout(self._terms.limits.data_s):
                while not content.feed(self._input):
                    if content.octets > self._terms.limits.size + OVERRUN:
                        self._dismiss(replies.TOO_BIG)
                        raise Over
                    self._reset_timeout()
                    await self._read_more()
        except TimeoutError:
            await self.push(replies.SLOW)
        self._stop_waiting()
        return None if content.is_too_big else content.whole()

    async def smtp_STARTTLS(self, arg: str | None) -> None:  # noqa: N802  aiosmtpd's name for it
        """Go on inside TLS, from the beginning: nothing that was said or sent before is kept (RFC 3207 section 4.2)."""
        if self._is_in_tls():
            await self.push(replies.BAD_SEQUENCE)
            return
        self._input.clear()
        with suppress(TLSSetupException):
            await super().smtp_STARTTLS(cast("str", arg))
        if self._tls_protocol is not None and not self._is_in_tls():
            # The handshake failed. asyncio tells an application only of a loss of what it was told of, so we tell ourselves.
            self.connection_lost(None)
            raise Over

    # The connection.

    def connection_lost(self, error: Exception | None) -> None:
        """Let the reader know. The base class would also cancel a mail on its way to COMMIT."""
        if self._original_transport is not None:
            self._original_transport.close()
        asyncio.StreamReaderProtocol.connection_lost(self, error)

    def eof_received(self) -> bool:
        """A peer that has said all may still listen (not in TLS, where nobody may): what came before the end is served."""
        asyncio.StreamReaderProtocol.eof_received(self)
        return not self._is_in_tls()

    def _timeout_cb(self) -> None:
        if self._writer.is_closing():
            self._writer.transport.abort()  # the last reply was not taken
        else:
            self._dismiss(replies.IDLE)

    def _dismiss(self, reply: Reply) -> None:
        """Say a last reply from outside the command loop, which then finds the connection closed."""
        if self._writer.is_closing():
            return
        self._note(reply)
        self._writer.write(reply.encode("ascii") + b"\r\n")
        self._close()

    def _note(self, reply: Reply) -> None:
        if reply not in (replies.BYE, replies.STOPPING):
            log.info("listener.connection_failed", reason=str(reply))

    def _close(self) -> None:
        """Close once (a transport inside TLS breaks when it is closed twice), and soon: who takes no reply shall not keep a seat."""
        if not self._writer.is_closing():
            self._writer.close()
        self._reset_timeout(self._terms.limits.linger_s)

    def _reset_timeout(self, duration: float | None = None) -> None:
        self._patience.begin(duration or self._timeout_duration)

    def _stop_waiting(self) -> None:
        self._patience.end()

    @property
    def _mail(self) -> Envelope:
        return cast("Envelope", self.envelope)


_COMMANDS: Final = {name.removeprefix("smtp_"): getattr(Conversation, name) for name in dir(Conversation) if name.startswith("smtp_")}
