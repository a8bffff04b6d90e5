"""Forget: what nobody needs any more is erased, every minute, by whoever keeps house.

| what | when |
|---|---|
| an address that nothing refers to any more | at once: minutes after a withdrawal, two days after a blank mail from which nothing came |
| the link to that address in every delivery | with it |
| invitations | 24 hours after their end |
| used and expired one-time codes and password links | at once |
| changes that can no longer be undone, and with them the old address | 72 hours after the change |
| failed logins | after a day |
| sessions, known browsers | two hours, 400 days after they were last seen |

Deliveries, receipts and the audit log keep their counts and ids. A contact that has proven nothing for a day is asked once more.
"""

from typing import Final

import structlog

from mailgate.core.instants import DAY, HOUR, Instant, later
from mailgate.core.lockout import REMEMBERED
from mailgate.journeys.links import UNDO_LIFETIME
from mailgate.journeys.mine import INVITATION_KEPT
from mailgate.journeys.sessions import BROWSER_KNOWN, IDLE
from mailgate.journeys.telling import tell_completion
from mailgate.runtime import Clock
from mailgate.store import contacts, erasing
from mailgate.store.db import Db

log = structlog.get_logger()

# Addresses looked at in one round, and contacts asked: a round must not hold the writer for long.
_AT_ONCE: Final = 200
_ASKED_AGAIN_AFTER: Final = DAY
# Who is older than this is not asked: they came before anybody asked again.
_ASKED_AGAIN_UNTIL: Final = 7 * DAY


class Forget:
    """Keeps the store no fuller than it must be."""

    def __init__(self, *, db: Db, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._log_holds_erased = False
        self._emptied_at = clock.now()

    async def tidy(self) -> None:
        """One round."""
        now = self._clock.now()
        async with self._db.write() as tx:
            await erasing.drop_invitations(tx, expired_before=later(now, -INVITATION_KEPT))
            await erasing.drop_old_ways_in(tx, now=now)
            await erasing.drop_old_changes(tx, before=later(now, -UNDO_LIFETIME))
            await erasing.drop_old_logins(
                tx, failures=later(now, -REMEMBERED), sessions=later(now, -IDLE), browsers=later(now, -BROWSER_KNOWN)
            )
        await self._erase_orphans(now)
        await self._ask_again(now)

    async def _erase_orphans(self, now: Instant) -> None:
        async with self._db.read() as tx:
            found = await erasing.orphans(tx, limit=_AT_ONCE)
        if found:
            async with self._db.write() as tx:
                for address_id in found:
                    await erasing.cancel_broadcasts_to(tx, address_id, now=now)
                erased = [address_id for address_id in found if await erasing.erase_address(tx, address_id)]
            if erased:
                log.info("address.erased", count=len(erased))
                self._log_holds_erased = True
        # The write-ahead log still has the pages as they were before. A reader may be in the way: then in the next round.
        if (self._log_holds_erased or now - self._emptied_at >= HOUR) and await self._db.empty_log():
            self._log_holds_erased, self._emptied_at = False, now

    async def _ask_again(self, now: Instant) -> None:
        after, before = later(now, -_ASKED_AGAIN_UNTIL), later(now, -_ASKED_AGAIN_AFTER)
        async with self._db.read() as tx:
            waiting = await contacts.to_ask_again(tx, after=after, before=before, limit=_AT_ONCE)
        if not waiting:
            return
        async with self._db.write() as tx:
            for row in waiting:
                if await contacts.mark_asked_again(tx, contact_id=row["id"], now=now):
                    await tell_completion(
                        tx, registration_id=row["registration_id"], invitation_id=None, address_id=row["address_id"], now=now
                    )
