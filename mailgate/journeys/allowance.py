"""Allowance (MR-22): how many invitations a domain, a network and the whole gate may cause. Kept in memory: a restart forgives.

- Carriers and the big free-mail providers go free of the limit by domain, for a whole school joins within an hour and every third family is
  with one of them. Their servers stand in a few networks, so what is proven to come from them goes free of the limit by network, too.
- Loopback and trusted relays are free of the limit by network; the network that gave them the mail stands in their place. The relay has
  seen to it that a provider's mail is a provider's, so that is not counted there.
- What an address itself may cause is in the database, because a restart must not forgive that.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from mailgate.core import limits
from mailgate.core.addresses import Address
from mailgate.core.authentication import Proof, Verdict
from mailgate.core.instants import Instant
from mailgate.core.limits import Bucket
from mailgate.core.providers import OTHER, provider_of

_MANY: Final = 10_000


class Buckets:
    """Buckets in memory, each with a key of its own."""

    def __init__(self) -> None:
        self._tats: dict[tuple[Bucket, str], Instant] = {}
        self._tidy_at = _MANY

    def take(self, wanted: Iterable[tuple[Bucket, str]], *, now: Instant) -> bool:
        """Whether one more may pass; if so, it is counted in every one of the buckets, else in none."""
        taken = {key: key[0].take(self._tats.get(key), now=now) for key in wanted}
        granted = {key: tat for key, tat in taken.items() if tat is not None}
        if len(granted) < len(taken):
            return False
        self._tats.update(granted)
        if len(self._tats) > self._tidy_at:
            self._tats = {key: tat for key, tat in self._tats.items() if tat > now}
            self._tidy_at = max(_MANY, 2 * len(self._tats))  # so that tidying costs each taker the same, however many there are
        return True


class Allowance:
    """What strangers may cause."""

    def __init__(self, exempt: Sequence[IPv4Network | IPv6Network]) -> None:
        self._exempt = exempt
        self._buckets = Buckets()

    def take(self, to: Address, peer: str, proof: Proof, *, now: Instant) -> bool:
        """Whether one more may pass; if so, it is counted in every bucket that binds it."""
        wanted = [(limits.GLOBAL_BUCKET, "all")]
        is_provider = provider_of(to.domain) != OTHER
        if not is_provider:
            wanted.append((limits.DOMAIN_BUCKET, to.domain))
        network = self._network(peer, proof, is_provider=is_provider)
        if network is not None:
            wanted.append((limits.NETWORK_BUCKET, network))
        return self._buckets.take(wanted, now=now)

    def _network(self, peer: str, proof: Proof, *, is_provider: bool) -> str | None:
        """The network that a mail counts for, if any."""
        if not self._is_exempt(peer):
            return None if is_provider and proof.verdict is Verdict.PASS else limits.network_of(peer)
        if is_provider or proof.client is None or self._is_exempt(proof.client):
            return None
        return limits.network_of(proof.client)

    def _is_exempt(self, ip: str) -> bool:
        address = ip_address(ip)
        return any(address in network for network in self._exempt)
