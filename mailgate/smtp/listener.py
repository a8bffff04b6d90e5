"""Listener: the sockets where mail comes in, and who gets a seat.

A connection beyond the limits hears 421 and is closed before anything is made for it; one peer (an IPv4 address, an IPv6 /64) holds a few
seats and no more, save for loopback and the relays we trust. A seat is free again when the connection is closed and its mail, if any,
has come to its end. At a stop nobody new comes in, who is idle is sent away, and who is in the middle of a mail may end it within the
grace; after that the connection is cut, and as no 250 was said the peer comes again.
"""

import asyncio
import logging
import math
import ssl
from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final, cast

import structlog

from mailgate.core.admission import Admission
from mailgate.runtime import Clock
from mailgate.smtp import replies
from mailgate.smtp.conversation import Conversation
from mailgate.smtp.door import LOOPBACK, Door, Limits, Network, Terms
from mailgate.smtp.replies import Reply

__all__ = ["LOOPBACK", "Admission", "Door", "Limits", "Listener", "Network"]

_BACKLOG: Final = 512

log = structlog.get_logger()


class Listener:
    """Takes mail in. Made in the running loop; `start` binds, `close` ends in order."""

    def __init__(self, door: Door, limits: Limits, *, hostname: str, tls: ssl.SSLContext | None, clock: Clock) -> None:
        _silence_aiosmtpd()
        self._terms = Terms(door=door, limits=limits, hostname=hostname, tls=tls, clock=clock)
        self._servers: list[asyncio.Server] = []
        self._seats: dict[Conversation, str] = {}
        self._taken: Counter[str] = Counter()
        self._is_stopping = False
        self._untold = 0
        self._told_at = -math.inf

    @property
    def seats_taken(self) -> int:
        """How many connections are served."""
        return len(self._seats)

    async def start(self, hostports: Sequence[tuple[str, int]]) -> tuple[int, ...]:
        """Listen on every one and return the bound ports, in order; on OSError none is left open."""
        loop = asyncio.get_running_loop()
        try:
            for host, port in hostports:
                server = await loop.create_server(lambda: _Threshold(self), host, port, backlog=_BACKLOG)
                self._servers.append(server)
        except OSError:
            self._stop_listening()
            raise
        return tuple(server.sockets[0].getsockname()[1] for server in self._servers)

    async def close(self, *, grace_s: float) -> None:
        """Accept nobody, let mails under way end within the grace, then cut."""
        self._is_stopping = True
        self._stop_listening()
        for conversation in list(self._seats):
            conversation.stop()
        if self._seats:
            await asyncio.wait([conversation.task for conversation in self._seats], timeout=grace_s)
        for conversation in list(self._seats):
            conversation.cut()
        if self._seats:
            await asyncio.wait([conversation.task for conversation in self._seats])

    def enter(self, transport: asyncio.Transport) -> None:
        """Give a new connection its seat, or turn it away politely."""
        name = transport.get_extra_info("peername")
        if name is None:  # gone before it came in
            transport.abort()
            return
        peer = _peer(name[0])
        seat = _seat(peer)
        if refusal := self._refusal(peer, seat):
            self._tell(refusal)
            transport.write(refusal.encode("ascii") + b"\r\n")
            transport.close()
            return
        conversation = Conversation(self._terms, peer=str(peer))
        self._seats[conversation] = seat
        self._taken[seat] += 1
        transport.set_protocol(conversation)
        conversation.connection_made(transport)
        conversation.task.add_done_callback(lambda _: self._leave(conversation))

    def _refusal(self, peer: IPv4Address | IPv6Address, seat: str) -> Reply | None:
        limits = self._terms.limits
        if self._is_stopping:
            return replies.STOPPING
        if len(self._seats) >= limits.connections:
            return replies.BUSY
        if self._taken[seat] >= limits.per_ip and not any(peer in network for network in limits.exempt):
            return replies.BUSY_FOR_YOU
        return None

    def _tell(self, refusal: Reply) -> None:
        """One line a second at most, with how many since the last: a crowd at the door shall not become a crowd in the log."""
        self._untold += 1
        now = self._terms.clock.monotonic()
        if now - self._told_at >= 1:
            log.info("listener.connection_refused", reason=str(refusal), connections=self._untold)
            self._untold, self._told_at = 0, now

    def _leave(self, conversation: Conversation) -> None:
        seat = self._seats.pop(conversation)
        self._taken[seat] -= 1
        if not self._taken[seat]:
            del self._taken[seat]

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()


class _Threshold(asyncio.Protocol):
    """Where a connection stands before it has a seat: it costs next to nothing, and a crowd may stand here."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._listener.enter(
            cast("asyncio.Transport", transport)
        )  # a stream socket's is one, also where no base class says so


def _peer(host: str) -> IPv4Address | IPv6Address:
    """The peer's address as it is meant: an IPv4 peer of an IPv6 socket is an IPv4 peer."""
    address = ip_address(host.partition("%")[0])
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _seat(peer: IPv4Address | IPv6Address) -> str:
    """Whose seats these are: one household or server has one IPv4 address or one IPv6 /64."""
    return str(peer if peer.version == 4 else IPv6Network((peer, 64), strict=False))


def _silence_aiosmtpd() -> None:
    """Its log holds every command and address at INFO and DEBUG. No level is above this one: what is wrong, we say ourselves."""
    logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
