"""Means: what the journeys of a registration's owner share."""

from collections.abc import Callable
from dataclasses import dataclass

from mailgate.core.registration import AddressRule
from mailgate.journeys.links import Links
from mailgate.journeys.passwords import Passwords
from mailgate.runtime import Clock, Dice
from mailgate.store.db import Db
from mailgate.vault import Digests


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Store, keys, clock and dice of one process, and the city's rules."""

    db: Db
    links: Links
    passwords: Passwords
    digests: Digests
    clock: Clock
    dice: Dice
    timezone: str
    rule: AddressRule
    wake: Callable[[], None]  # the sender: something is owed
