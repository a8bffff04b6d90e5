"""Invite (J1): what answers a blank mail: an invitation, or the login IDs of an address. The mail side: it alone may make an address's row.

Nothing is asked about the past of an address that has none. One that asks again gets the same link while that has an hour of life left,
within the limits of MR-22, which both answers share.

Some phones drop every mail with a URL in it. Whoever writes to the box for them, or comes a third time within a day without having used
a link, gets the short code alone, and no mail to that address holds a URL from then on. That invitation is a new one: when the earlier
one is used after all, its mail did arrive, and so do URLs (store.readers.clear_no_url).

A mailbox that asks under one tag after the other has a limit of its own: three guardians may share it so, and nobody shall be flooded.
"""

import json
from typing import Final

from mailgate.core import limits
from mailgate.core.addresses import Address
from mailgate.core.delivery import LIFETIME, Lane
from mailgate.core.instants import DAY, HOUR, Instant, later
from mailgate.core.limits import Bucket
from mailgate.core.providers import site_of
from mailgate.core.routing import Join
from mailgate.core.tokens import ID_BYTES
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.allowance import Buckets
from mailgate.journeys.links import INVITATION_LIFETIME, Links
from mailgate.journeys.sites import Sites
from mailgate.runtime import Dice
from mailgate.store import invitations, outbox, people, readers
from mailgate.store.db import Tx

# Less than this is not worth sending again: the guardian may come home before he presses.
_WORTH_RESENDING: Final = HOUR
_TAGGED: Final = Bucket(rate=6, period=DAY, burst=6)
# Links that an address got for nothing: the next answer holds none.
_IN_VAIN: Final = 2


class Inviter:
    """The mail side of joining."""

    def __init__(self, *, book: AddressBook, links: Links, sites: Sites, dice: Dice) -> None:
        self._book = book
        self._links = links
        self._sites = sites
        self._dice = dice
        self._tagged = Buckets()

    async def invite(self, tx: Tx, sender: Address, *, box: Join, now: Instant) -> str:
        """Owe the sender an invitation, unless a limit says to be silent; one word for the log. What the box says of him is remembered."""
        known = await self._book.find(tx, sender)
        address_id = await self._book.add(tx, sender, now=now) if known is None else known
        if box.language is not None:
            await readers.set_language(tx, address_id=address_id, language=box.language)
        if box.no_url:
            await readers.set_no_url(tx, address_id)
        if known is not None and not await self._may_answer(tx, known, now):
            return "limited"
        await invitations.add_answer(tx, address_id=address_id, now=now)
        if sender.key != sender.rate_key and not self._tagged.take([(_TAGGED, sender.rate_key)], now=now):
            return "limited"
        by_code = box.no_url if known is None else await self._by_code(tx, known, now)
        live = None if known is None else await self._live(tx, known, by_code, now)
        invitation_id = await self._new(tx, address_id, now) if live is None else live
        letter = "invitation_code" if by_code else "invitation"
        is_paused = self._sites.is_paused(site_of(sender.domain))
        await _owe(tx, letter, readers.invitation_params(invitation_id), address_id, now, is_paused=is_paused)
        return "invited"

    async def list_ids(self, tx: Tx, sender: Address, *, now: Instant) -> str:
        """Owe the sender the login IDs that he is registered under, unless a limit says to be silent; one word for the log."""
        address_id = await self._book.enter(tx, sender, now=now)
        if not await self._may_answer(tx, address_id, now):
            return "limited"
        await invitations.add_answer(tx, address_id=address_id, now=now)
        await _owe(tx, "id_list", "{}", address_id, now)
        return "ids_listed"

    async def _may_answer(self, tx: Tx, address_id: int, now: Instant) -> bool:
        previous = await invitations.answers_since(tx, address_id=address_id, since=later(now, -DAY))
        return limits.may_answer(previous, now=now)

    async def _by_code(self, tx: Tx, address_id: int, now: Instant) -> bool:
        """Whether the answer holds no URL; from now on none does, if so."""
        address = await people.address_by_id(tx, address_id)
        assert address is not None
        if address["no_url"]:
            return True
        if await readers.invitations_in_vain(tx, address_id=address_id, since=later(now, -DAY)) < _IN_VAIN:
            return False
        await readers.set_no_url(tx, address_id)
        return True

    async def _live(self, tx: Tx, address_id: int, by_code: bool, now: Instant) -> int | None:
        """The invitation that an address has and that may be sent again."""
        live = await invitations.live_invitation(
            tx, address_id=address_id, now=now, expires_after=later(now, _WORTH_RESENDING)
        )
        # After a rotation of keys its short code would read otherwise: then it is no longer worth sending.
        if live is not None and await readers.is_by_code(tx, address_id=address_id, invitation_id=live["id"]) is by_code:
            code_index = self._links.code_index(self._links.short_code(live["link_id"]))
            found = await invitations.invitation_by_code(tx, code_index)
            if found is not None and found["id"] == live["id"]:
                return int(live["id"])
        return None

    async def _new(self, tx: Tx, address_id: int, now: Instant) -> int:
        while True:
            link_id = self._dice.octets(ID_BYTES)
            made = await invitations.add_invitation(
                tx,
                link_id=link_id,
                code_index=self._links.code_index(self._links.short_code(link_id)),
                address_id=address_id,
                now=now,
                expires_at=later(now, INVITATION_LIFETIME),
            )
            if made is not None:
                return made


async def tell_not_read(tx: Tx, address_id: int, *, is_receipt: bool, now: Instant) -> bool:
    """Owe an address the word that nobody reads what it wrote. False: it was told within a day."""
    if await readers.was_told(tx, address_id=address_id, letter="not_read", since=later(now, -DAY)):
        return False
    await _owe(tx, "not_read", json.dumps({"receipt": is_receipt}), address_id, now)
    # Else the address of a stranger would be erased before the day is over, and what it was told with it.
    await invitations.add_answer(tx, address_id=address_id, now=now)
    return True


async def _owe(
    tx: Tx, letter: str, params: str, address_id: int, now: Instant, *, is_paused: bool = False
) -> None:
    expires_at = later(now, LIFETIME[Lane.SINGLE])
    await outbox.enqueue_letter(
        tx,
        letter=letter,
        params=params,
        address_id=address_id,
        lane=Lane.SINGLE,
        now=now,
        due_at=expires_at if is_paused else now,  # until it is called back (journeys.sites)
        expires_at=expires_at,
    )
