"""Door: what mail's edge asks of the floor below, and what it lets a peer cost.

The listener knows no box, no store and no journey. It asks a Door whether a recipient is ours, how large this mail may be, and to
take the mail; the peer hears 250 only after the Door has returned. Limits are values, so that a test can use small ones.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from mailgate.core.addresses import Address, NullPath
from mailgate.core.admission import Admission
from mailgate.core.inbound import Inbound
from mailgate.runtime import Clock

Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


class Door(Protocol):
    """What the listener asks of the floor below."""

    def admits(self, recipient: Address) -> Admission:
        """Whether mail for this recipient may come in; asked at RCPT, answered without waiting."""
        ...

    async def size_limit(self, sender: Address | NullPath, recipients: Sequence[Address]) -> int:
        """How many octets this mail may have; asked at DATA, when the envelope is known."""
        ...

    async def receive(self, mail: Inbound) -> None:
        """Take the mail; return when it is durable. StoreFull becomes 452 4.3.1, any other exception 451 4.3.0."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What peers may cost. Networks in `exempt` are free of the limit per IP and of no other; say LOOPBACK + trusted relays."""

    connections: int = 100
    per_ip: int = 10
    recipients: int = 100
    commands: int = 100  # since the last accepted mail; accepted recipients have their own limit and are not counted
    errors: int = 10  # permanent refusals in one connection
    line: int = 65_536  # octets taken from a connection at a time; no line of a mail is refused for its length
    idle_s: float = 60
    data_s: float = 300  # for the whole content of one mail
    linger_s: float = 5  # to take the last reply, then the connection is cut
    size: int = 15 * 2**20  # as advertised; the Door may say less for one mail
    exempt: tuple[Network, ...] = LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """All that every conversation of one listener has in common."""

    door: Door
    limits: Limits
    hostname: str
    tls: ssl.SSLContext | None
    clock: Clock
