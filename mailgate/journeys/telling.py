"""Telling: the letters that a change of a registration owes, enqueued in the transaction of the change itself.

| letter | params | to whom |
|---|---|---|
| `completion` | `registration`, `invitation` (null: asked once more, the link is over) | the new address of an ID |
| `joined` | `registration`: the reader's own | the other addresses of the pupil: somebody registered the same child, under whatever ID |
| `address_changed` | `change`, of the reader's own registration (store.changes.change_by_id) | the old address, the others of the pupil |
| `password_link` | `link` (store.recovery.password_link_by_id) | the guardians of an ID whose password was forgotten |
| `withdrawn` | none | the address that is erased as soon as this letter is out |

What a letter names by an id is the reader's own registration, so it may show its login ID; another's is never named. A change with
`undoable` = 1 carries an undo link (Links.undo_token of `link_id` and `made_at`): it goes to guardians and to the old address. The others
are news. Nobody is told the same thing twice: who was told something in this transaction is in `told`.
"""

from collections.abc import Iterable
from typing import Literal

from mailgate.core.fields import ContactKind
from mailgate.core.instants import Instant
from mailgate.core.tokens import ID_BYTES
from mailgate.journeys.means import Means
from mailgate.store import changes, contacts, people
from mailgate.store.db import Row, Tx

ChangeKind = Literal["added", "replaced", "removed"]


async def tell_completion(
    tx: Tx, *, registration_id: int, invitation_id: int | None, address_id: int, now: Instant
) -> None:
    """It is registered; please answer."""
    params = {"registration": registration_id, "invitation": invitation_id}
    await contacts.owe(tx, letter="completion", params=params, address_ids=[address_id], now=now)


async def tell_joined(tx: Tx, *, pupil_id: int, but: int, told: set[int], now: Instant) -> None:
    """Tell the child's other registrations, all but one, that somebody joined them."""
    for other in await people.registrations_of_pupil(tx, pupil_id):
        if other != but:
            readers = {int(row["address_id"]) for row in await contacts.contacts_of(tx, other)} - told
            told |= readers
            await contacts.owe(tx, letter="joined", params={"registration": other}, address_ids=readers, now=now)


async def tell_change(
    tx: Tx,
    means: Means,
    kind: ChangeKind,
    *,
    registration_id: int,
    old: Row | None = None,
    new_contact_id: int | None = None,
    told: set[int],
    now: Instant,
) -> int:
    """Note a change, and tell the guardians of the registration and the address that went: they may undo it. The change's id."""
    change_id = await _note(tx, means, kind, registration_id=registration_id, old=old, new_contact_id=new_contact_id, now=now)
    rows = await contacts.contacts_of(tx, registration_id)
    guardians = [row for row in rows if row["kind"] == ContactKind.GUARDIAN]
    went = [] if old is None else [int(old["address_id"])]
    await _owe_change(tx, change_id, told, [*(row["address_id"] for row in guardians or rows), *went], now=now)
    if any(row["address_id"] not in told for row in rows):  # the pupil's own: told, but not to decide it
        await tell_news(tx, means, kind, registration_id=registration_id, told=told, now=now)
    return change_id


async def tell_news(
    tx: Tx, means: Means, kind: ChangeKind, *, registration_id: int, told: set[int], now: Instant
) -> None:
    """Tell all addresses of a registration of a change that is not theirs to undo."""
    change_id = await _note(tx, means, kind, registration_id=registration_id, old=None, new_contact_id=None, now=now)
    rows = await contacts.contacts_of(tx, registration_id)
    await _owe_change(tx, change_id, told, [row["address_id"] for row in rows], now=now)


async def tell_others(
    tx: Tx, means: Means, kind: ChangeKind, *, pupil_id: int, but: int, told: set[int], now: Instant
) -> None:
    """The same news to the child's other registrations, each as a change of its own."""
    for other in await people.registrations_of_pupil(tx, pupil_id):
        if other != but:
            await tell_news(tx, means, kind, registration_id=other, told=told, now=now)


async def _note(
    tx: Tx,
    means: Means,
    kind: ChangeKind,
    *,
    registration_id: int,
    old: Row | None,
    new_contact_id: int | None,
    now: Instant,
) -> int:
    return await changes.add_change(
        tx,
        link_id=means.dice.octets(ID_BYTES),
        registration_id=registration_id,
        kind=kind,
        old=old,
        new_contact_id=new_contact_id,
        now=now,
    )


async def _owe_change(tx: Tx, change_id: int, told: set[int], address_ids: Iterable[int], *, now: Instant) -> None:
    readers = set(address_ids) - told
    told |= readers
    await contacts.owe(tx, letter="address_changed", params={"change": change_id}, address_ids=readers, now=now)
