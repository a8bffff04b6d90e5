"""Invite (J1): a blank mail is answered with a link and a short code. The mail side: it alone may make an address's row.

An address that asks again gets the same link while that has an hour of life left, within the limits of MR-22. A mailbox that asks under
one tag after the other has a limit of its own: three guardians may share it so, and nobody shall be flooded by it.
"""

import json
from typing import Final

from mailgate.core import limits
from mailgate.core.addresses import Address
from mailgate.core.delivery import LIFETIME, Lane
from mailgate.core.instants import DAY, HOUR, Instant, later
from mailgate.core.limits import Bucket
from mailgate.core.tokens import ID_BYTES
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.allowance import Buckets
from mailgate.journeys.links import INVITATION_LIFETIME, Links
from mailgate.runtime import Dice
from mailgate.store import invitations, outbox
from mailgate.store.db import Tx

# Less than this is not worth sending again: the guardian may come home before he presses.
_WORTH_RESENDING: Final = HOUR
_TAGGED: Final = Bucket(rate=6, period=DAY, burst=6)


class Inviter:
    """The mail side of joining."""

    def __init__(self, *, book: AddressBook, links: Links, dice: Dice) -> None:
        self._book = book
        self._links = links
        self._dice = dice
        self._tagged = Buckets()

    async def invite(self, tx: Tx, sender: Address, *, now: Instant) -> str:
        """Owe the sender an invitation, unless a limit says to be silent; one word for the log."""
        address_id = await self._book.enter(tx, sender, now=now)
        previous = await invitations.answers_since(tx, address_id=address_id, since=later(now, -DAY))
        if not limits.may_answer(previous, now=now):
            return "limited"
        if sender.key != sender.rate_key and not self._tagged.take([(_TAGGED, sender.rate_key)], now=now):
            return "limited"
        await invitations.add_answer(tx, address_id=address_id, now=now)
        invitation_id = await self._live_or_new(tx, address_id, now)
        await outbox.enqueue_letter(
            tx,
            letter="invitation",
            params=json.dumps({"invitation": invitation_id}),
            address_id=address_id,
            lane=Lane.SINGLE,
            now=now,
            due_at=now,
            expires_at=later(now, LIFETIME[Lane.SINGLE]),
        )
        return "invited"

    async def _live_or_new(self, tx: Tx, address_id: int, now: Instant) -> int:
        live = await invitations.live_invitation(
            tx, address_id=address_id, now=now, expires_after=later(now, _WORTH_RESENDING)
        )
        # After a rotation of keys its short code would read otherwise: then it is no longer worth sending.
        if live is not None:
            code_index = self._links.code_index(self._links.short_code(live["link_id"]))
            found = await invitations.invitation_by_code(tx, code_index)
            if found is not None and found["id"] == live["id"]:
                return int(live["id"])
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
