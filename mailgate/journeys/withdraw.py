"""Withdraw (J2): an address leaves, or a registration with all that belongs to it.

What can be erased at once is: contacts, the registration with its logins, links, codes and changes, and the child if no roster and nobody
else has it. An address that is nobody's any more gets one last letter; nothing else that is owed to it goes out. As soon as the letter is
out, within the half hour that it lives, housekeeping erases the address and takes it out of the deliveries that went there (`forget`).
What stays is counts. There is no undo: it was asked for with the password, and what is erased cannot come back.
"""

import json
from collections.abc import Sequence
from typing import Literal

import structlog

from mailgate.core.fields import ContactKind
from mailgate.core.instants import Instant
from mailgate.journeys import telling
from mailgate.journeys.lines import contact_id_of
from mailgate.journeys.means import Means
from mailgate.store import audit, changes, contacts, erasing, people
from mailgate.store.db import Row, Tx

log = structlog.get_logger()


def is_last(row: Row, its_contacts: Sequence[Row]) -> bool:
    """Whether a registration cannot do without a contact: it is the only one, or the only guardian's beside the pupil's own."""
    others = [each for each in its_contacts if each["id"] != row["id"]]
    return not others or (
        row["kind"] == ContactKind.GUARDIAN and all(each["kind"] == ContactKind.PUPIL for each in others)
    )


async def withdraw(
    means: Means, tx: Tx, registration_id: int, what: str, *, now: Instant
) -> Literal["withdrawn", "last", "unknown"]:
    """Erase "all" of a registration, or the contact with this id."""
    registration = await people.registration_by_id(tx, registration_id)
    its_contacts = await contacts.contacts_of(tx, registration_id)
    if registration is None:
        return "unknown"
    if what == "all":
        await _withdraw_all(means, tx, registration, its_contacts, now)
        return "withdrawn"
    leaving = next((row for row in its_contacts if row["id"] == contact_id_of(what)), None)
    if leaving is None:
        return "unknown"
    if is_last(leaving, its_contacts):
        return "last"
    await contacts.remove_contact(tx, leaving["id"])
    await changes.let_go(tx, registration_id=registration_id, address_id=leaving["address_id"])
    told = {int(leaving["address_id"])}
    await telling.tell_news(tx, means, "removed", registration_id=registration_id, told=told, now=now)
    await telling.tell_others(
        tx, means, "removed", pupil_id=registration["pupil_id"], but=registration_id, told=told, now=now
    )
    await _farewell(tx, [leaving["address_id"]], now)
    await _record(tx, registration_id, "contact.withdrawn", now)
    return "withdrawn"


async def _withdraw_all(means: Means, tx: Tx, registration: Row, its_contacts: Sequence[Row], now: Instant) -> None:
    registration_id, pupil_id = int(registration["id"]), int(registration["pupil_id"])
    leaving = [int(row["address_id"]) for row in its_contacts]
    await telling.tell_others(tx, means, "removed", pupil_id=pupil_id, but=registration_id, told=set(leaving), now=now)
    for row in its_contacts:
        await contacts.remove_contact(tx, row["id"])
    # Who could have come back by an undo goes too, without another letter: that was told at the time.
    returning = [change["old_address_id"] for change in await changes.changes_of(tx, registration_id) if change["old_address_id"]]
    await erasing.drop_registration(tx, registration_id)
    await people.drop_pupil_of_none(tx, pupil_id)
    await _farewell(tx, leaving, now)
    for address_id in await erasing.placeless(tx, json.dumps(returning)):
        await erasing.drop_traces(tx, address_id, now=now)
    await _record(tx, registration_id, "registration.withdrawn", now)


async def _farewell(tx: Tx, address_ids: Sequence[int], now: Instant) -> None:
    """The last letter to those who left, and nothing else to whom that makes nobody's."""
    for address_id in await erasing.placeless(tx, json.dumps(address_ids)):
        await erasing.drop_traces(tx, address_id, now=now)
    await contacts.owe(tx, letter="withdrawn", params={}, address_ids=address_ids, now=now)


async def _record(tx: Tx, registration_id: int, event: str, now: Instant) -> None:
    await audit.record(tx, at=now, actor="guardian", event=event, subject=f"registration:{registration_id}")
    log.info("registration.withdrawn", registration=registration_id, all=event == "registration.withdrawn")
