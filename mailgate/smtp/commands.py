"""Commands: those that a line answers and that no mail goes through: who greets hears what we can do, who is curious hears nothing.

aiosmtpd looks for commands and hooks by name, among all the names of two objects and anew at each connection, which takes longer than the
mail that comes. It finds no names here: what a command is stands in the table of smtp.conversation, made once.
"""

from collections.abc import Sequence
from typing import cast

from aiosmtpd.smtp import SMTP, Session

from mailgate.smtp import replies
from mailgate.smtp.replies import Reply


class Commands(SMTP):
    """The part of a conversation that is the same for everybody."""

    def __dir__(self) -> Sequence[str]:
        """Nothing that is worth a search."""
        return ()

    async def smtp_HELO(self, hostname: str | None) -> None:  # noqa: N802  aiosmtpd's name for it
        await self._greet(hostname, replies.helo(self.hostname), extended=False)

    async def smtp_EHLO(self, hostname: str | None) -> None:  # noqa: N802  aiosmtpd's name for it
        offers_tls = self.tls_context is not None and not self._is_in_tls()
        size = cast("int", self.data_size_limit)
        await self._greet(hostname, replies.ehlo(self.hostname, size=size, tls=offers_tls), extended=True)

    async def _greet(self, hostname: str | None, reply: Reply, *, extended: bool) -> None:
        """Begin anew (RFC 5321 section 4.1.4), with somebody who has said his name."""
        if not hostname:
            await self.push(replies.BAD_SYNTAX)
            return
        self.envelope = self._create_envelope()
        session = cast("Session", self.session)
        session.host_name, session.extended_smtp = hostname, extended
        await self.push(reply)

    # Nobody learns who is here or what runs here (MR-14), and nobody logs in at this port, in TLS or out of it (MR-13).

    async def smtp_VRFY(self, arg: str | None) -> None:  # noqa: N802  aiosmtpd's name for it
        await self.push(replies.NOT_VERIFIED)

    async def smtp_EXPN(self, arg: str | None) -> None:  # noqa: N802  aiosmtpd's name for it
        await self.push(replies.NOT_IMPLEMENTED)

    async def smtp_HELP(self, arg: str | None) -> None:  # noqa: N802  aiosmtpd's name for it
        await self.push(replies.HELP)

    async def smtp_AUTH(self, arg: str | None) -> None:  # noqa: N802  aiosmtpd's name for it
        await self.push(replies.NOT_IMPLEMENTED)

    def _is_in_tls(self) -> bool:
        return cast("Session", self.session).ssl is not None
