"""The sample city: an invented city with its schools, pupils, staff and registered addresses, to try everything out.

All its registrations share one password and all its staff one PIN, so that it loads in seconds: argon2 is slow on purpose.
"""

import asyncio
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mailgate.core.addresses import parse_spec
from mailgate.core.registration import kana_key, normal_login_id
from mailgate.journeys.addressbook import AddressBook
from mailgate.journeys.passwords import Passwords
from mailgate.journeys.schools import new_registration_code
from mailgate.runtime import Clock, Dice
from mailgate.store import people, schools, staff
from mailgate.store.db import Db, Tx
from mailgate.vault import AddressVault, Keys, TextVault

SAMPLE_PASSWORD: Final = "shiomi-no-kaze"  # noqa: S105  # of an invented city
SAMPLE_PIN: Final = "246810"


async def load_sample(
    source: Path, *, db: Db, keys: Keys, texts: TextVault, passwords: Passwords, clock: Clock, dice: Dice
) -> None:
    """Write the whole city in one transaction."""
    password_hash, pin_hash, nobodys_hash = await asyncio.gather(
        passwords.hash(SAMPLE_PASSWORD), passwords.hash(SAMPLE_PIN), passwords.hash(dice.octets(15).hex())
    )
    book = AddressBook(AddressVault(keys, dice), dice)
    async with db.write() as tx:
        city = _City(tx, source, book, clock, dice)
        await city.add_schools()
        await city.add_registrations(password_hash)
        await city.add_staff(texts, pin_hash, nobodys_hash)


class _City:
    """The files, and the ids of what they have become."""

    def __init__(self, tx: Tx, source: Path, book: AddressBook, clock: Clock, dice: Dice) -> None:
        self._tx = tx
        self._source = source
        self._book = book
        self._now = clock.now()
        self._dice = dice
        self._schools: dict[str, int] = {}
        self._classes: dict[tuple[str, str, str], int] = {}

    async def add_schools(self) -> None:
        for row in self._rows("schools"):
            school_id = await schools.add_school(self._tx, slug=row["slug"], name=row["name"], kind=row["kind"])
            assert school_id is not None
            self._schools[row["slug"]] = school_id
            await new_registration_code(self._tx, school_id=school_id, dice=self._dice, now=self._now)
        for row in self._rows("classes"):
            school_id = self._schools[row["school"]]
            await schools.add_class(
                self._tx, school_id=school_id, grade=int(row["grade"]), slug=row["slug"], name=row["name"]
            )
        for slug, school_id in self._schools.items():
            for found in await schools.classes_of(self._tx, school_id):
                self._classes[slug, str(found["grade"]), found["slug"]] = found["id"]

    async def add_registrations(self, password_hash: str) -> None:
        registrations: dict[str, int] = {}
        for row in self._rows("pupils"):
            pupil_id = await people.add_pupil(
                self._tx,
                school_id=self._schools[row["school"]],
                grade=int(row["grade"]),
                class_id=self._classes[row["school"], row["grade"], row["class"]],
                name=row["name"],
                kana=row["kana"],
                kana_key=kana_key(row["kana"] or row["name"]),
                on_roster=True,
            )
            if row["login_id"]:
                made = await people.add_registration(
                    self._tx,
                    login_id=row["login_id"],
                    login_key=normal_login_id(row["login_id"]),
                    password_hash=password_hash,
                    pupil_id=pupil_id,
                    name=row["name"],
                    kana=row["kana"],
                    now=self._now,
                )
                assert made is not None
                registrations[row["login_id"]] = made
        for row in self._rows("contacts"):
            await people.add_contact(
                self._tx,
                registration_id=registrations[row["login_id"]],
                address_id=await self._book.enter(self._tx, parse_spec(row["address"]), now=self._now),
                kind=row["kind"],
                label=row["label"],
                now=self._now,
            )

    async def add_staff(self, texts: TextVault, pin_hash: str, submission_hash: str) -> None:
        for row in self._rows("staff"):
            staff_id = await staff.next_id(self._tx)
            await staff.add_staff(
                self._tx,
                staff_id=staff_id,
                address_id=await self._book.enter(self._tx, parse_spec(row["address"]), now=self._now),
                name=row["name"],
                role=row["role"],
                scope=row["scope"],
                pin_hash=pin_hash,
                submission_hash=submission_hash,
                totp_sealed=texts.seal_totp(self._dice.octets(20), staff_id),
                now=self._now,
            )

    def _rows(self, name: str) -> Iterator[dict[str, str]]:
        with (self._source / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
