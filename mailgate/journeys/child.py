"""Child: name, kana, grade and class of a registration are written anew.

The name is this registration's own way to write it. Grade, class and kana say which child it is: if they are another child's now, the
registration joins that child, within the room there is, and who is there already is told. A roster is the school's and is not touched.
"""

from collections.abc import Mapping

import structlog

from mailgate.core import registration
from mailgate.core.instants import Instant
from mailgate.core.registration import Child, Fault, Form
from mailgate.journeys import pupils, telling
from mailgate.journeys.means import Means
from mailgate.journeys.schools import class_id_of, facts_of
from mailgate.store import audit, contacts, people, schools
from mailgate.store.db import Row, Tx

log = structlog.get_logger()


async def change_child(means: Means, tx: Tx, registration_id: int, form: Form) -> Mapping[str, Fault]:
    """Write a child anew, in this transaction; the faults, none if it is done."""
    now = means.clock.now()
    row = await people.registration_by_id(tx, registration_id)
    assert row is not None  # the session was looked at in this transaction
    school = await schools.school_by_id(tx, row["school_id"])
    assert school is not None
    wanted = registration.check_child(form, school=await facts_of(tx, school))
    if not isinstance(wanted, Child):
        return wanted
    class_id = await class_id_of(tx, school["id"], wanted.grade, wanted.class_slug)
    target = await pupils.known_pupil(tx, school["id"], class_id, wanted)
    if target is not None and target != row["pupil_id"] and not await _fits(tx, means, row, target):
        return {"name": Fault.ADDRESSES_FULL}
    if target is None:
        target = await pupils.new_pupil(tx, school["id"], class_id, wanted)
    await _write(tx, row, wanted, target=target, class_id=class_id, now=now)
    log.info("registration.changed", registration=registration_id)
    return {}


async def _fits(tx: Tx, means: Means, row: Row, target: int) -> bool:
    mine = pupils.holdings(await contacts.contacts_of(tx, row["id"]))
    return means.rule.fits(await pupils.holdings_of(tx, target), mine)


async def _write(tx: Tx, row: Row, wanted: Child, *, target: int, class_id: int | None, now: Instant) -> None:
    registration_id = row["id"]
    await people.write_registration(
        tx, registration_id=registration_id, pupil_id=target, name=wanted.name, kana=wanted.kana
    )
    if target != row["pupil_id"]:
        await people.drop_pupil_of_none(tx, row["pupil_id"])
        told = {int(each["address_id"]) for each in await contacts.contacts_of(tx, registration_id)}
        await telling.tell_joined(tx, pupil_id=target, but=registration_id, told=told, now=now)
    if await people.is_alone(tx, registration_id):
        await people.write_pupil(
            tx,
            pupil_id=target,
            grade=wanted.grade,
            class_id=class_id,
            name=wanted.name,
            kana=wanted.kana,
            kana_key=wanted.kana_key,
        )
    subject = f"registration:{registration_id}"
    await audit.record(tx, at=now, actor="guardian", event="registration.changed", subject=subject)
