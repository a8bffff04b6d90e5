"""Of a school with a roster, a child whom it does not know gets what all of the school get, and no more."""

import pytest

from mailgate.core.delivery import Lane
from mailgate.core.instants import DAY, Instant, later
from mailgate.store import audiences
from mailgate.store.db import Db, Row, Tx
from tests.fakes import NEW_YEAR_2026
from tests.store.builders import a_broadcast, an_address

NOW = later(NEW_YEAR_2026, DAY)
SCHOOL = {"school_id": 1}
GRADE = {"school_id": 1, "grade": 3}
CLASS = {"school_id": 1, "grade": 3, "class_id": 1}


async def a_family(tx: Tx, *, on_roster: bool, school: int = 1) -> int:
    """A child of class 3-1 with one registered address; the address."""
    address_id = await an_address(tx)
    await tx.run(
        """
        INSERT INTO pupil (id, school_id, grade, class_id, name, kana, kana_key, on_roster)
        VALUES (:id, :school, 3, :school, 'x', 'x', 'x', :on_roster)
        """,
        {"id": address_id, "school": school, "on_roster": int(on_roster)},
    )
    await tx.run(
        """
        INSERT INTO registration (id, login_id, login_key, password_hash, pupil_id, name, kana, created_at)
        VALUES (:id, :id, :id, 'x', :id, 'x', 'x', :now)
        """,
        {"id": address_id, "now": NEW_YEAR_2026},
    )
    await tx.run(
        "INSERT INTO contact (registration_id, address_id, kind, label, created_at) VALUES (:id, :id, 'guardian', '', :now)",
        {"id": address_id, "now": NEW_YEAR_2026},
    )
    return address_id


async def reached(tx: Tx, **part: object) -> set[int]:
    """Who gets a broadcast to one part; the preview's number and the names agree with it."""
    broadcast_id = await a_broadcast(tx)
    whole = {"staff": False, "level": None, "school_id": None, "grade": None, "class_id": None, **part}
    await audiences.add_part(tx, broadcast_id=broadcast_id, part=f"part {broadcast_id}", **whole)  # type: ignore[arg-type]
    await tx.run("UPDATE broadcast SET confirmed_at = ? WHERE id = ?", (NOW, broadcast_id))
    counted = await audiences.count_audience(tx, broadcast_id=broadcast_id, alarm=False, until=NOW, now=NOW)
    row = await tx.one("SELECT * FROM broadcast WHERE id = ?", (broadcast_id,))
    assert row is not None
    await audiences.expand_chunk(tx, row, alarm=False, limit=100, now=NOW)
    copies = await tx.fetch("SELECT id, address_id FROM outbox WHERE broadcast_id = ?", (broadcast_id,))
    assert counted["recipients"] == counted["pupils"] == len(copies)
    return {copy["address_id"] for copy in copies}


async def schools(tx: Tx) -> None:
    for number in (1, 2):
        await tx.run("INSERT INTO school (id, slug, name, kind) VALUES (?, ?, 'x', 'elementary')", (number, f"s{number}"))
        await tx.run("INSERT INTO class_ (id, school_id, grade, slug, name) VALUES (?, ?, 3, '1', '1')", (number, number))


@pytest.mark.parametrize(
    "part, unknown_too",
    [({}, True), ({"level": "elementary"}, True), (SCHOOL, True), (GRADE, False), (CLASS, False), ({"grade": 3}, False)],
)
async def test_who_is_on_no_roster_gets_mail_to_school_level_and_city_only(
    db: Db, part: dict[str, object], unknown_too: bool
) -> None:
    async with db.write() as tx:
        await schools(tx)
        known, unknown = await a_family(tx, on_roster=True), await a_family(tx, on_roster=False)
        assert await reached(tx, **part) == ({known, unknown} if unknown_too else {known})


@pytest.mark.parametrize("part", [{}, SCHOOL, GRADE, CLASS])
async def test_where_no_roster_was_imported_everybody_gets_what_is_for_his_class(db: Db, part: dict[str, object]) -> None:
    async with db.write() as tx:
        await schools(tx)
        other_schools = await a_family(tx, on_roster=True, school=2)
        unknown = await a_family(tx, on_roster=False)
        assert await reached(tx, **part) - {other_schools} == {unknown}


async def test_a_copy_names_the_children_that_it_is_for(db: Db) -> None:
    async with db.write() as tx:
        await schools(tx)
        await a_family(tx, on_roster=True)
        unknown = await a_family(tx, on_roster=False)
        broadcast_id = await a_broadcast(tx)
        await audiences.add_part(
            tx, broadcast_id=broadcast_id, part="s1.3", staff=False, level=None, school_id=1, grade=3, class_id=None
        )
        copy = await _copy(tx, broadcast_id, unknown)
        named = await audiences.pupils_of_copies(tx, broadcast_id=broadcast_id, outbox_ids=f"[{copy['id']}]")
        assert named == []


async def _copy(tx: Tx, broadcast_id: int, address_id: int) -> Row:
    row = await tx.one(
        """
        INSERT INTO outbox (broadcast_id, address_id, lane, state, created_at, due_at, expires_at)
        VALUES (:broadcast, :address, :lane, 'pending', :now, :now, :now) RETURNING id
        """,
        {"broadcast": broadcast_id, "address": address_id, "lane": Lane.ORDINARY, "now": Instant(NOW)},
    )
    assert row is not None
    return row
