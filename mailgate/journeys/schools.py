"""Schools as the other journeys ask for them: by a registration code, and by what a class is called.

A registration code is printed on the sheet and typed by guardians: it says which school, and keeps outsiders out.
"""

import hmac
from typing import Final

from mailgate.core.audience import SchoolKind
from mailgate.core.codes import ALPHABET
from mailgate.core.instants import Instant
from mailgate.core.registration import SchoolFacts, normal_code
from mailgate.runtime import Dice
from mailgate.store import schools
from mailgate.store.db import Row, Tx

_LETTERS: Final = 8


async def new_registration_code(tx: Tx, *, school_id: int, dice: Dice, now: Instant) -> str:
    """Draw a code nobody else has, as `ABCD-EFGH`, valid from now until it is rotated."""
    while True:
        letters = dice.text(ALPHABET, _LETTERS)
        code = f"{letters[:4]}-{letters[4:]}"
        if await schools.add_code(tx, school_id=school_id, code=code, valid_from=now):
            return code


async def school_of_code(tx: Tx, typed: str, *, now: Instant) -> Row | None:
    """The school whose registration code was typed. Every code is compared, each in constant time."""
    code = normal_code(typed).encode()
    found = [
        row["school_id"]
        for row in await schools.valid_codes(tx, now=now)
        if hmac.compare_digest(normal_code(row["code"]).encode(), code)
    ]
    return await schools.school_by_id(tx, found[0]) if found else None


async def facts_of(tx: Tx, school: Row) -> SchoolFacts:
    """What a registration is checked against."""
    classes: dict[int, list[str]] = {}
    names: dict[tuple[int, str], str] = {}
    for row in await schools.classes_of(tx, school["id"]):
        classes.setdefault(row["grade"], []).append(row["slug"])
        names[row["grade"], row["name"]] = row["slug"]
        names[row["grade"], row["name"] + "組"] = row["slug"]
    return SchoolFacts(
        kind=SchoolKind(school["kind"]),
        classes={grade: tuple(slugs) for grade, slugs in classes.items()},
        class_names=names,
    )


async def class_id_of(tx: Tx, school_id: int, grade: int | None, slug: str | None) -> int | None:
    """The id of a school's class."""
    for row in await schools.classes_of(tx, school_id):
        if (row["grade"], row["slug"]) == (grade, slug):
            return int(row["id"])
    return None
