"""Sites: invitations to a site pause when too many came back as unknown (core.pausing), and the operator is told once an hour.

Paused invitations are owed all the same: those that wait and those that are added are due when they end, and are called back when the pause
is over. What stands in the database is only their due time, so a restart finds out anew who is paused.
"""

import json
from typing import Final

import structlog

from mailgate.core import pausing
from mailgate.core.addresses import Address
from mailgate.core.delivery import LIFETIME, Lane
from mailgate.core.instants import Instant, later
from mailgate.journeys.addressbook import AddressBook
from mailgate.runtime import Clock
from mailgate.store import outbox, sites
from mailgate.store.db import Db, Tx

log = structlog.get_logger()

LOOK_EVERY_S: Final = 10.0


class Sites:
    """Knows which sites are paused, since its last look."""

    def __init__(self, *, db: Db, book: AddressBook, operator: Address, clock: Clock) -> None:
        self._db = db
        self._book = book
        self._operator = operator
        self._clock = clock
        self._paused: frozenset[str] | None = None  # None: not looked yet
        self._told: dict[str, Instant] = {}

    def is_paused(self, site: str) -> bool:
        """Whether invitations to a site wait."""
        return self._paused is not None and site in self._paused

    async def look(self) -> None:
        """See what became of the last hour's invitations, pause and call back."""
        now = self._clock.now()
        async with self._db.read() as tx:
            ended = await sites.ended_invitations(tx, since=later(now, -pausing.WINDOW))
            before = await sites.waiting_sites(tx) if self._paused is None else self._paused
        counted = {site: _counted(those) for site, those in ended.items()}
        paused = frozenset(site for site, (sent, unknown) in counted.items() if pausing.must_pause(sent=sent, unknown=unknown))
        self._paused = paused  # before the rows are moved: what is added meanwhile waits, too
        if not paused and not before:
            return
        told = {site for site in paused if self._is_to_be_told(site, now)}
        async with self._db.write() as tx:
            for site in sorted(paused):
                await sites.put_off_invitations(tx, site=site)
            for site in sorted(told):
                await self._owe_notice(tx, site, *counted[site], now=now)
            called_back = {site: await sites.call_back_invitations(tx, site=site, now=now) for site in before - paused}
        for site in told:
            self._told[site] = now
            log.error("site.paused", site=site, sent=counted[site][0], unknown=counted[site][1])
        for site, count in called_back.items():
            log.info("site.resumed", site=site, invitations=count)

    def _is_to_be_told(self, site: str, now: Instant) -> bool:
        told = self._told.get(site)
        return told is None or abs(now - told) >= pausing.TOLD_EVERY

    async def _owe_notice(self, tx: Tx, site: str, sent: int, unknown: int, *, now: Instant) -> None:
        await outbox.enqueue_letter(
            tx,
            letter="site_paused",
            params=json.dumps({"site": site, "sent": sent, "unknown": unknown}),
            address_id=await self._book.enter(tx, self._operator, now=now),
            lane=Lane.ORDINARY,
            now=now,
            due_at=now,
            expires_at=later(now, LIFETIME[Lane.ORDINARY]),
        )


def _counted(ended: list[pausing.Ended]) -> tuple[int, int]:
    """How many were sent, and how many of these came back as unknown."""
    return sum(each.count for each in ended), sum(each.count for each in ended if pausing.is_unknown(each))
