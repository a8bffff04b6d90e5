"""Those outside who do not give up: mail servers and browsers that come again until they have an answer.

What they know is what they were told: a mail is accepted when the answer to its final dot was 250, a form is done when its answer was a
redirect. When the line breaks before that, they do not know, and do the very same again.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import httpx

from tests.crash.victim import Victim

PATIENCE_S: Final = 45.0
_HTTP_BUSY: Final = (500, 503)


class Peers:
    """Everybody outside one gate. `refusals` counts what they were told when they were asked to come again."""

    def __init__(self, victim: Victim) -> None:
        self._victim = victim
        self._http = httpx.AsyncClient(verify=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))
        self.refusals: Counter[str] = Counter()

    async def close(self) -> None:
        await self._http.aclose()

    async def deliver(self, sender: str, recipient: str, content: bytes, *, then: Callable[[], None] = lambda: None) -> None:
        """Hand a mail in until it is accepted; `then` is called in the very moment it is."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            reply = await self.hand_in(sender, recipient, content)
            if reply.startswith("250"):
                then()
                return
            self.refusals[reply[:9] or "silence"] += 1
            assert not reply.startswith("5"), f"a good mail was refused for good: {reply}"
            assert time.monotonic() < deadline, f"not accepted in {PATIENCE_S} s, at last {reply or 'no answer'}"
            await asyncio.sleep(0.05)

    async def hand_in(self, sender: str, recipient: str, content: bytes) -> str:
        """One attempt: the last reply, or nothing if the line broke."""
        try:
            async with asyncio.timeout(30):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._victim.smtp)
                try:
                    return await _transaction(reader, writer, sender, recipient, content)
                finally:
                    writer.close()
        except (OSError, TimeoutError, EOFError):
            return ""

    async def get(self, link: str) -> str:
        """Read a page."""
        return (await self._ask("GET", link, {})).text

    async def post(self, link: str, fields: Mapping[str, str], *, then: Callable[[], None] = lambda: None) -> int:
        """Send a form until it is answered; the status. `then` is called in the moment of a redirect."""
        answer = await self._ask("POST", link, fields)
        if answer.status_code == 303:
            then()
        return answer.status_code

    async def _ask(self, method: str, link: str, fields: Mapping[str, str]) -> httpx.Response:
        page = link.replace("http://127.0.0.1:1/", f"http://127.0.0.1:{self._victim.web}/")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = await self._http.request(method, page, data=fields if method == "POST" else None)
            except httpx.TransportError:
                self.refusals["no page"] += 1
            else:
                if answer.status_code not in _HTTP_BUSY:
                    return answer
                self.refusals[f"page {answer.status_code}"] += 1
            assert time.monotonic() < deadline, f"no page in {PATIENCE_S} s"
            await asyncio.sleep(0.05)


async def _transaction(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sender: str, recipient: str, content: bytes
) -> str:
    reply = await _reply(reader)
    for line in ("EHLO phone.example", f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"):
        if reply[0] not in "23":
            return reply
        writer.write(line.encode() + b"\r\n")
        reply = await _reply(reader)
    if not reply.startswith("354"):
        return reply
    writer.write(content.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
    return await _reply(reader)


async def _reply(reader: asyncio.StreamReader) -> str:
    while True:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        if line[3:4] != b"-":
            return line.decode().strip()
