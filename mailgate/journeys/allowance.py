"""Allowance (MR-22): how many invitations a domain, a network and the whole gate may cause. Kept in memory: a restart forgives.

Carriers and the big free-mail providers go free of the limit by domain, for a whole school joins within an hour and every third family is
with one of them; loopback and trusted relays go free of the one by network. What
an address itself may cause is in the database, because a restart must not forgive that.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from mailgate.core import limits
from mailgate.core.addresses import Address
from mailgate.core.instants import Instant
from mailgate.core.limits import Bucket
from mailgate.core.providers import OTHER, provider_of

_MANY: Final = 10_000


class Allowance:
    """Buckets by domain, by network, and one over all."""

    def __init__(self, exempt: Sequence[IPv4Network | IPv6Network]) -> None:
        self._exempt = exempt
        self._buckets: dict[tuple[Bucket, str], Instant] = {}

    def take(self, sender: Address, peer: str, *, now: Instant) -> bool:
        """Whether one more may pass; if so, it is counted in every bucket that binds it."""
        wanted = [(limits.GLOBAL_BUCKET, "all")]
        if provider_of(sender.domain) == OTHER:
            wanted.append((limits.DOMAIN_BUCKET, sender.domain))
        if not any(ip_address(peer) in network for network in self._exempt):
            wanted.append((limits.NETWORK_BUCKET, limits.network_of(peer)))
        taken = {key: key[0].take(self._buckets.get(key), now=now) for key in wanted}
        granted = {key: tat for key, tat in taken.items() if tat is not None}
        if len(granted) < len(taken):
            return False
        if len(self._buckets) > _MANY:
            self._buckets = {key: tat for key, tat in self._buckets.items() if tat > now}
        self._buckets.update(granted)
        return True
