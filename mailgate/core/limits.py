"""Limits: how often we answer, in numbers (MR-22).

An address is answered once in 60 seconds, three times in an hour, six times in a day; a repeat gets the same link.
Around that stand three buckets: for a sender's domain, for the peer's network, for the whole gate. A bucket is a
GCRA: it remembers one instant, the theoretical arrival time (TAT), at which it would be empty again. What it lets
through at once is its burst, afterwards its rate. Whom a bucket does not bind (carriers, the loopback, trusted
relays) is known to the caller. A clock that jumps must not shut the gate: what a previous future left behind holds no
longer than one window.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from mailgate.core.instants import DAY, HOUR, MINUTE, SECOND, Instant, later

ADDRESS_RULES = ((MINUTE, 1), (HOUR, 3), (DAY, 6))


def may_answer(previous: Sequence[Instant], *, now: Instant) -> bool:
    """Whether one more reply may go to an address that got replies at these instants, in any order."""
    return all(sum(abs(now - reply) < window for reply in previous) < most for window, most in ADDRESS_RULES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """So many in a period, and so many at once."""

    rate: int
    period: int
    burst: int

    def take(self, tat: Instant | None, *, now: Instant) -> Instant | None:
        """The TAT to remember if one more may pass now, else None; a TAT of None is a bucket never used.

        A TAT beyond what a full bucket reaches was written by a clock that has been set back since; it counts as none.
        """
        step = self.period // self.rate
        full = later(now, self.burst * step)
        start = now if tat is None or tat > full else max(tat, now)
        taken = later(start, step)
        return taken if taken <= full else None


DOMAIN_BUCKET = Bucket(rate=60, period=HOUR, burst=60)
NETWORK_BUCKET = Bucket(rate=120, period=HOUR, burst=120)
GLOBAL_BUCKET = Bucket(rate=100, period=SECOND, burst=100)


def network_of(ip: str) -> str:
    """The network that shares one bucket: an IPv4 address's /24, an IPv6 address's /64; what is neither, itself."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if address.version == 6 and address.ipv4_mapped is not None:  # a socket for both families shows IPv4 so
        address = address.ipv4_mapped
    prefix = 24 if address.version == 4 else 64
    return str(ipaddress.ip_network((address, prefix), strict=False))
