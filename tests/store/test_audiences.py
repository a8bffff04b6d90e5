"""Audiences: whom a broadcast reaches, asked of a small city in every way and held against the rules in plain words."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mailgate.core.audience import City, Class, Grade, Level, Part, School, Staff, grades_at, grades_of, parse
from mailgate.core.instants import DAY, SECOND, later
from mailgate.store import audiences, broadcasts
from mailgate.store.db import Db
from tests.builders import Town, a_database

SCHOOLS = {"kita-es": "elementary", "chuo-jhs": "junior", "mori-gimu": "compulsory"}
CLASSES = {"kita-es": ((3, "1"), (3, "2"), (4, "1")), "chuo-jhs": ((1, "1"), (3, "1")), "mori-gimu": ((3, "1"), (6, "1"), (7, "1"))}


@dataclass(frozen=True)
class Child:
    """A pupil, and the addresses that are registered for it."""

    school: str
    grade: int | None
    class_slug: str | None
    addresses: tuple[int, ...]
    on_roster: bool = True


@dataclass(frozen=True)
class Member:
    """A member of staff under an address."""

    address: int
    scope: str
    disabled: bool


@dataclass(frozen=True)
class SmallCity:
    children: tuple[Child, ...]
    staff: tuple[Member, ...]
    paused: frozenset[int]


def is_unknown(child: Child, city: SmallCity) -> bool:
    """Whether the school has a roster, and this child is not on it."""
    return not child.on_roster and any(other.school == child.school and other.on_roster for other in city.children)


def child_belongs(child: Child, part: Part, city: SmallCity) -> bool:
    """The rule in words."""
    kind = SCHOOLS[child.school]
    match part:
        case City():
            return True
        case Level(name):
            if child.grade is None:  # not known yet: whatever the school has
                return bool(grades_at(name, kind))
            return child.grade in grades_at(name, kind)
        case School(slug):
            return child.school == slug
        case Grade(slug, grade):
            return (child.school, child.grade) == (slug, grade) and not is_unknown(child, city)
        case Class(slug, grade, class_slug):
            return (child.school, child.grade, child.class_slug) == (slug, grade, class_slug) and not is_unknown(child, city)
        case Staff():
            return False


def member_belongs(member: Member, part: Part) -> bool:
    if member.disabled or not isinstance(part, Staff):
        return False
    return part.slug is None or member.scope.split(".")[0] == part.slug


def expected(city: SmallCity, parts: list[Part], *, alarm: bool) -> set[int]:
    """The addresses that a broadcast goes to."""
    found = {at for child in city.children for at in child.addresses if any(child_belongs(child, part, city) for part in parts)}
    found |= {member.address for member in city.staff if any(member_belongs(member, part) for part in parts)}
    return found if alarm else found - city.paused


# Cities

ADDRESS = st.integers(1, 5)


@st.composite
def children(draw: st.DrawFn) -> Child:
    school = draw(st.sampled_from(["mori-gimu", "kita-es", "chuo-jhs"]))
    grade, class_slug = draw(
        st.one_of(
            st.sampled_from(CLASSES[school]),
            st.just((None, None)),
            st.tuples(st.sampled_from(grades_of(SCHOOLS[school])), st.none()),
        )
    )
    addresses = tuple(sorted(draw(st.sets(ADDRESS, max_size=3))))
    return Child(school, grade, class_slug, addresses, on_roster=draw(st.booleans()))


SCOPES = ["all", "kita-es", "kita-es.3", "kita-es.3-1", "chuo-jhs", "mori-gimu.7"]
MEMBERS = st.builds(Member, address=ADDRESS, scope=st.sampled_from(SCOPES), disabled=st.booleans())
CITIES = st.builds(
    SmallCity,
    children=st.lists(children(), min_size=2, max_size=8).map(tuple),
    staff=st.lists(MEMBERS, min_size=1, max_size=3, unique_by=lambda member: member.address).map(tuple),
    paused=st.frozensets(ADDRESS, max_size=3),
)
PARTS = [
    "all", "elementary", "junior", "staff", *SCHOOLS, *(f"staff.{slug}" for slug in SCHOOLS), "kita-es.3", "kita-es.3-1", "mori-gimu.7",
    "mori-gimu.6", "mori-gimu.9", "chuo-jhs.1", "chuo-jhs.1-1",
]  # fmt: skip


async def build(town: Town, city: SmallCity) -> None:
    """The city in the store. An address's number is the order of its id."""
    now = town.clock.now()
    async with town.db.write() as tx:
        places: dict[tuple[str, int | None, str | None], tuple[int, int | None]] = {}
        for slug, kind in SCHOOLS.items():
            school_id = len(places) + 1
            await tx.run("INSERT INTO school (id, slug, name, kind) VALUES (?, ?, ?, ?)", (school_id, slug, slug, kind))
            places[slug, None, None] = school_id, None
            for its_grade, class_slug in CLASSES[slug]:
                class_id = len(places) + 1
                await tx.run(
                    "INSERT INTO class_ (id, school_id, grade, slug, name) VALUES (?, ?, ?, ?, ?)",
                    (class_id, school_id, its_grade, class_slug, class_slug),
                )
                places[slug, its_grade, class_slug] = school_id, class_id
        for at in range(1, 9):
            await tx.run(
                "INSERT INTO address (id, sealed, lookup, provider, site, created_at, paused_at) VALUES (?, x'00', ?, 'x', 'x', ?, ?)",
                (10 * at, bytes([at]), now, now if at in city.paused else None),
            )
        for number, child in enumerate(city.children, start=1):
            its_school = places[child.school, None, None][0]
            its_class = places.get((child.school, child.grade, child.class_slug), (its_school, None))[1]
            await tx.run(
                "INSERT INTO pupil (id, school_id, grade, class_id, name, kana, kana_key, on_roster) VALUES (?, ?, ?, ?, ?, '', '', ?)",
                (number, its_school, child.grade, its_class, f"P{number}", int(child.on_roster)),
            )
            for order, at in enumerate(child.addresses):
                registration = 10 * number + order
                await tx.run(
                    """
                    INSERT INTO registration (id, login_id, login_key, password_hash, pupil_id, name, kana, created_at)
                    VALUES (:id, :id, :id, '', :pupil, '', '', :now)
                    """,
                    {"id": registration, "pupil": number, "now": now},
                )
                await tx.run(
                    "INSERT INTO contact (registration_id, address_id, kind, label, created_at) VALUES (?, ?, 'guardian', '', ?)",
                    (registration, 10 * at, now),
                )
        for number, member in enumerate(city.staff, start=1):
            await tx.run(
                """
                INSERT INTO staff (id, address_id, name, role, scope, pin_hash, submission_hash, totp_sealed, created_at, disabled_at)
                VALUES (?, ?, '', 'school', ?, '', '', x'00', ?, ?)
                """,
                (number, 10 * member.address, member.scope, now, now if member.disabled else None),
            )


async def drafted(town: Town, texts: list[str], *, alarm: bool) -> int:
    """A confirmed broadcast to these audiences; its id."""
    now = town.clock.now()
    async with town.db.write() as tx:
        await tx.run("INSERT OR IGNORE INTO address (id, sealed, lookup, provider, site, created_at) VALUES (999, x'', x'ff', '', '', 0)")
        await tx.run(
            """
            INSERT OR IGNORE INTO staff (id, address_id, name, role, scope, pin_hash, submission_hash, totp_sealed, created_at, disabled_at)
            VALUES (999, 999, '', 'board', 'all', '', '', x'', 0, 0)
            """
        )
        broadcast_id = await broadcasts.next_id(tx)
        await broadcasts.add_draft(
            tx, broadcast_id=broadcast_id, link_id=bytes([broadcast_id]), kind="emergency" if alarm else "notice", lane=0 if alarm else 2,
            staff_id=999, source=b"", subject=b"", text=b"", cut=b"", now=now,
        )  # fmt: skip
        rows = await tx.fetch(
            """
            SELECT s.slug, s.id, k.grade, k.slug AS class_slug, k.id AS class_id
              FROM school s LEFT JOIN class_ k ON k.school_id = s.id
            """
        )
        school_ids = {row["slug"]: row["id"] for row in rows}
        class_ids = {(row["slug"], row["grade"], row["class_slug"]): row["class_id"] for row in rows}
        for text in texts:
            part = parse(text)
            assert part is not None
            slug = getattr(part, "slug", None)
            await audiences.add_part(
                tx,
                broadcast_id=broadcast_id,
                part=text,
                staff=isinstance(part, Staff),
                level=part.name if isinstance(part, Level) else None,
                school_id=school_ids[slug] if slug else None,
                grade=getattr(part, "grade", None),
                class_id=class_ids[part.slug, part.grade, part.class_slug] if isinstance(part, Class) else None,
            )
        await broadcasts.set_state(tx, broadcast_id=broadcast_id, old="drafted", new="sending")
        await broadcasts.set_confirmed(tx, broadcast_id=broadcast_id, confirmed_at=now, expires_at=later(now, DAY))
    return broadcast_id


async def expand(town: Town, broadcast_id: int, *, chunk: int) -> list[int]:
    """Expand in chunks; the addresses' numbers in the order they were written."""
    while True:
        async with town.db.write() as tx:
            row = await broadcasts.broadcast_by_id(tx, broadcast_id)
            assert row is not None
            added = await audiences.expand_chunk(tx, row, alarm=row["lane"] == 0, limit=chunk, now=town.clock.now())
        if added < chunk:
            break
    rows = await town.ask("SELECT address_id FROM outbox WHERE broadcast_id = ? ORDER BY id", (broadcast_id,))
    return [row["address_id"] // 10 for row in rows]


def in_a_town(work: Callable[[Town], Awaitable[None]]) -> None:
    """Some work in a fresh town."""

    async def run() -> None:
        with TemporaryDirectory() as folder:
            db = await Db.open(a_database(Path(folder) / "mailgate.db"))
            try:
                await work(Town(Path(folder) / "mailgate.db", db))
            finally:
                await db.close()

    asyncio.run(run())


# Each example is a database of its own: shrinking would take minutes.
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(
    city=CITIES,
    texts=st.lists(st.sampled_from(PARTS), min_size=1, max_size=3, unique=True),
    alarm=st.booleans(),
    chunk=st.integers(1, 4),
)
def test_an_audience_is_what_the_rules_say_counted_and_expanded_in_any_chunks(
    city: SmallCity, texts: list[str], alarm: bool, chunk: int
) -> None:
    parts = [part for text in texts if (part := parse(text)) is not None]
    wanted = sorted(expected(city, parts, alarm=alarm))

    async def work(town: Town) -> None:
        await build(town, city)
        whole, split = [await drafted(town, texts, alarm=alarm) for _ in range(2)]
        assert await expand(town, whole, chunk=1000) == wanted
        assert await expand(town, split, chunk=chunk) == wanted
        async with town.db.read() as tx:
            now = town.clock.now()
            counted = await audiences.count_audience(tx, broadcast_id=whole, alarm=alarm, until=now, now=now)
            ids = [each["id"] for each in await tx.fetch("SELECT id FROM outbox WHERE broadcast_id = ?", (whole,))]
            named = await audiences.pupils_of_copies(tx, broadcast_id=whole, outbox_ids=json.dumps(ids))
            to = {each["id"]: each["address_id"] // 10 for each in await tx.fetch("SELECT id, address_id FROM outbox")}
        pupils = {f"P{number}": child for number, child in enumerate(city.children, start=1)}
        belonging = {name: child for name, child in pupils.items() if any(child_belongs(child, part, city) for part in parts)}
        assert (counted["recipients"], counted["pupils"]) == (len(wanted), len(belonging))
        assert counted["unregistered"] == sum(child.on_roster and not child.addresses for child in belonging.values())
        assert {(to[outbox_id], name) for outbox_id, name in named} == {
            (at, name) for name, child in belonging.items() for at in child.addresses if at in wanted
        }

    in_a_town(work)


ONE_OF_EACH = SmallCity(
    children=(
        Child("kita-es", 3, "1", (1,)),
        Child("kita-es", None, None, (2,)),
        Child("chuo-jhs", 1, None, (3,)),
        Child("mori-gimu", 6, "1", (4,)),
        Child("mori-gimu", 7, "1", (5,)),
        Child("mori-gimu", None, None, (6,)),
    ),
    staff=(Member(7, "all", disabled=False), Member(8, "kita-es.3-1", disabled=False)),
    paused=frozenset(),
)


@pytest.mark.parametrize(
    "text, addresses",
    [
        ("all", [1, 2, 3, 4, 5, 6]),
        ("elementary", [1, 2, 4, 6]),
        ("junior", [3, 5, 6]),
        ("kita-es", [1, 2]),
        ("kita-es.3", [1]),
        ("kita-es.3-1", [1]),
        ("mori-gimu", [4, 5, 6]),
        ("mori-gimu.7", [5]),
        ("staff", [7, 8]),
        ("staff.kita-es", [8]),
        ("staff.mori-gimu", []),
    ],
)
async def test_each_audience_reaches_its_own(town: Town, text: str, addresses: list[int]) -> None:
    await build(town, ONE_OF_EACH)
    assert await expand(town, await drafted(town, [text], alarm=False), chunk=100) == addresses


async def test_a_paused_address_gets_alarms_only_also_where_it_is_staffs(town: Town) -> None:
    city = SmallCity(ONE_OF_EACH.children, ONE_OF_EACH.staff, paused=frozenset({1, 8}))
    await build(town, city)
    assert await expand(town, await drafted(town, ["kita-es", "staff"], alarm=False), chunk=100) == [2, 7]
    assert await expand(town, await drafted(town, ["kita-es", "staff"], alarm=True), chunk=100) == [1, 2, 7, 8]


async def test_a_school_whose_name_begins_like_anothers_is_another(town: Town) -> None:
    await build(town, ONE_OF_EACH)
    await town.change("INSERT INTO school (id, slug, name, kind) VALUES (99, 'kita', '北', 'elementary')")
    await town.change("INSERT INTO school (id, slug, name, kind) VALUES (98, 'kita-es-2', '北', 'elementary')")
    for text in ("staff.kita", "staff.kita-es-2", "kita"):
        assert await expand(town, await drafted(town, [text], alarm=False), chunk=100) == []


async def test_a_contact_that_came_after_the_confirmation_is_not_in_the_audience(town: Town) -> None:
    await build(town, ONE_OF_EACH)
    broadcast_id = await drafted(town, ["all"], alarm=True)
    town.clock.pass_(SECOND)
    await town.change("UPDATE contact SET created_at = ? WHERE address_id IN (20, 30)", (town.clock.now(),))
    town.clock.pass_(SECOND)
    assert await expand(town, broadcast_id, chunk=2) == [1, 4, 5, 6]


async def test_a_contact_of_a_future_that_did_not_come_is_in_the_audience_and_its_pupil_is_named(town: Town) -> None:
    """The clock was a year ahead when they registered, and has been set back since."""
    await build(town, ONE_OF_EACH)
    await town.change("UPDATE contact SET created_at = ? WHERE address_id IN (10, 30)", (later(town.clock.now(), 365 * DAY),))
    broadcast_id = await drafted(town, ["all"], alarm=True)
    async with town.db.read() as tx:
        now = town.clock.now()
        counted = await audiences.count_audience(tx, broadcast_id=broadcast_id, alarm=True, until=now, now=now)
    assert counted["recipients"] == 6
    town.clock.pass_(SECOND)
    assert await expand(town, broadcast_id, chunk=4) == [1, 2, 3, 4, 5, 6]
    async with town.db.read() as tx:
        named = await audiences.pupils_of_copies(tx, broadcast_id=broadcast_id, outbox_ids="[1, 2, 3, 4, 5, 6]")
    assert [name for _, name in named] == ["P1", "P2", "P3", "P4", "P5", "P6"]
