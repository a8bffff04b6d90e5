"""The address book: the one place where an address becomes a row. The mail side's and the commands' alone."""

from mailgate.core.addresses import Address
from mailgate.core.instants import Instant
from mailgate.core.providers import provider_of, site_of
from mailgate.runtime import Dice
from mailgate.store import people
from mailgate.store.db import Tx
from mailgate.vault import AddressVault


class AddressBook:
    """Finds an address's row by its keyed digest, or makes it, sealed."""

    def __init__(self, vault: AddressVault, dice: Dice) -> None:
        self._vault = vault
        self._dice = dice

    async def find(self, tx: Tx, address: Address) -> int | None:
        """The id of a known address, whichever key of the ring it was entered under."""
        for lookup in self._vault.lookups(address):
            known = await people.address_by_lookup(tx, lookup)
            if known is not None:
                return known
        return None

    async def enter(self, tx: Tx, address: Address, *, now: Instant) -> int:
        """The id of an address, known or new."""
        known = await self.find(tx, address)
        return await self.add(tx, address, now=now) if known is None else known

    async def add(self, tx: Tx, address: Address, *, now: Instant) -> int:
        """The id of an address that is not known."""
        address_id = self._dice.row_id()
        await people.add_address(
            tx,
            address_id=address_id,
            sealed=self._vault.seal_address(address, address_id),
            lookup=self._vault.lookup(address),
            provider=provider_of(address.domain),
            site=site_of(address.domain),
            now=now,
        )
        return address_id
