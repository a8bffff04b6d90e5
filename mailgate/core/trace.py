"""Trace: where a mail came from before it came to us, told by relays that we trust and by nobody else.

A relay writes its Received line on top of what it got (RFC 5321 section 4.4). So the topmost line is the peer's own, and as long as a line
says that the mail came from another relay of ours, the next one is that relay's. Below that everything may be made up.

Its Authentication-Results stand above its Received line or right below it. Above, nobody else can have written. Below, a field of the
sender's may follow, so only the first that bears the relay's name counts, and none further down (RFC 8601 section 5 tells relays to
strip what bears their name). With a name in the configuration only fields of that name count.

A peer at a private address that passes a mail on is a relay that nobody told us of: it is not believed, and it is not the origin either.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import islice
from typing import Final

from mailgate.core.authentication import Claim, read_results
from mailgate.core.headers import Headers

Network = IPv4Network | IPv6Network

MAX_FIELDS: Final = 50  # looked at
MAX_HOPS: Final = 10  # of our own relays
_LOOKED_AT: Final = 1_000  # of a Received line

_HELO: Final = re.compile(r"helo=[^\s)]*+", re.IGNORECASE)  # Exim quotes what the client called itself
_ADDRESS: Final = re.compile(r"[\[(](?:IPv6:)?([0-9A-Fa-f:.]{2,45})[\])]", re.IGNORECASE)
_LOOPBACK: Final[tuple[Network, ...]] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
# Whom nobody on the internet sees.
_PRIVATE: Final[tuple[Network, ...]] = (
    *_LOOPBACK,
    *map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")),
    *map(IPv6Network, ("fc00::/7", "fe80::/10")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What is known of a mail's way."""

    client: str | None  # who gave it to us, or to the outermost of our relays; None: not known
    claims: tuple[Claim, ...] = ()  # what our relays say about its sender, the topmost first


@dataclass(frozen=True, slots=True)
class Hop:
    """One Received line: who gave the mail, and who took it and wrote the line, in lower case."""

    client: str | None
    by: str
    is_local: bool = False  # nobody gave it: it was passed on within one machine


def trace(headers: Headers, *, peer: str, relays: Sequence[Network], authserv_id: str = "") -> Trace:
    """The way of a mail that `peer` gave us."""
    if not _is_in(peer, relays):
        passed_on = headers.first("received") is not None and _is_in(peer, _PRIVATE)
        return Trace(client=None if passed_on else peer)
    client: str | None = peer
    hops: list[Hop] = []
    claims: list[Claim] = []
    has_spoken = False  # whoever wrote the last line
    for name, value in islice(headers.among("received", "authentication-results"), MAX_FIELDS):
        if name == "received":
            if client is None or not _is_in(client, (*relays, *_LOOPBACK)) or len(hops) == MAX_HOPS:
                break
            hop = read_hop(value)
            hops.append(hop)
            client, has_spoken = client if hop.is_local else hop.client, False
            continue
        results = read_results(value)
        if not (hops and has_spoken) and _is_ours(results.by, hops, authserv_id):
            claims.extend(results.claims)
            has_spoken = True
    return Trace(client=client, claims=tuple(claims))


def read_hop(value: str) -> Hop:
    """A Received line. What the client calls itself stands in it as well: what the relay saw of it comes after that."""
    said, _, written = (" " + " ".join(value[:_LOOKED_AT].split())).rpartition(" by ")
    by = written.partition(" ")[0].rstrip(";").lower()
    if not said.lower().startswith(" from "):
        return Hop(None, by, is_local=True)
    seen = _ADDRESS.findall(_HELO.sub("", said))
    return Hop(next((text for text in reversed(seen) if _parsed(text) is not None), None), by)


def _is_ours(name: str, hops: Sequence[Hop], authserv_id: str) -> bool:
    """Whether a field of that name is our relay's. Above every line it is, whatever its name."""
    if authserv_id:
        return name == authserv_id.lower()
    return not hops or (name != "" and any(name == hop.by for hop in hops))


def _is_in(text: str, networks: Iterable[Network]) -> bool:
    address = _parsed(text)
    return address is not None and any(address in network for network in networks)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
