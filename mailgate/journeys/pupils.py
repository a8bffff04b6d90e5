"""Pupils: which child a form means, and how many addresses the child has.

Two registrations are of one child if school, grade, class and kana are the same; the name is shown and never compared. A child who is on no
roster is a row all the same, made by the first registration and gone with the last one.
"""

from collections.abc import Iterable

from mailgate.core.registration import Child, ContactKind, Holding, Registration
from mailgate.store import contacts, people
from mailgate.store.db import Row, Tx


async def known_pupil(tx: Tx, school_id: int, class_id: int | None, wanted: Child | Registration) -> int | None:
    """The child of same school, grade, class and kana, the roster's first."""
    for row in await people.pupils_by_kana(tx, school_id=school_id, kana_key=wanted.kana_key):
        if (row["grade"], row["class_id"]) == (wanted.grade, class_id):
            return int(row["id"])
    return None


async def new_pupil(tx: Tx, school_id: int, class_id: int | None, wanted: Child | Registration) -> int:
    """A child who is on no roster."""
    return await people.add_pupil(
        tx,
        school_id=school_id,
        grade=wanted.grade,
        class_id=class_id,
        name=wanted.name,
        kana=wanted.kana,
        kana_key=wanted.kana_key,
        on_roster=False,
    )


async def holdings_of(tx: Tx, pupil_id: int | None) -> list[Holding]:
    """The addresses of a child, whichever IDs they came by."""
    return [] if pupil_id is None else holdings(await contacts.contacts_of_pupil(tx, pupil_id))


def holdings(rows: Iterable[Row]) -> list[Holding]:
    """What some contacts count for."""
    return [Holding(row["address_id"], ContactKind(row["kind"])) for row in rows]
