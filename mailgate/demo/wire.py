"""How the demo's people hand in mail: an SMTP client that changes nothing.

Senders go out octet by octet as they are given, dots at any place included, and content as it is but for dot stuffing: libraries tidy
both, and phones do not.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from mailgate.demo.story import Amiss

_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A mail with its envelope; sender "" is the null sender."""

    sender: str
    recipient: str
    content: bytes


async def hand_in(port: int, mail: Outgoing) -> None:
    """Give a mail to the server on that port of the loopback; returns when it has said 250.

    Raises:
        Amiss: it said something else, or went away.
    """
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await _transact(reader, writer, mail)
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise Amiss(f"the gate did not take a mail: {type(error).__name__} {error}") from error


async def _transact(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mail: Outgoing) -> None:
    async def say(line: bytes, expected: bytes) -> None:
        writer.write(line)
        while (reply := await reader.readline())[3:4] == b"-":
            pass
        if not reply.startswith(expected):
            raise Amiss(f"the gate did not take a mail: it said {reply.decode('ascii', 'replace').strip()!r}")

    await say(b"", b"220")
    await say(b"EHLO phone.example.jp\r\n", b"250")
    await say(b"MAIL FROM:<%b>\r\n" % mail.sender.encode("ascii"), b"250")
    await say(b"RCPT TO:<%b>\r\n" % mail.recipient.encode("ascii"), b"250")
    await say(b"DATA\r\n", b"354")
    await say(stuffed(mail.content), b"250")
    await say(b"QUIT\r\n", b"221")


def stuffed(content: bytes) -> bytes:
    """The octets after DATA (RFC 5321 section 4.5.2); an empty mail stays empty."""
    ended = content if not content or content.endswith(b"\r\n") else content + b"\r\n"
    return (b"\r\n" + ended).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
