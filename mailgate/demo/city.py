"""The city as the demo knows it: who is to get a copy of what, worked out from the sample's files and from who registered since.

Nothing here asks the gate: this is what the gate's deliveries are held against.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mailgate.demo.story import Amiss

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pupil:
    """A child at a school; one name may be that of two children."""

    number: int
    school: str
    name: str
    registered: bool


class City:
    """The sample city, growing by what the demo registers."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder
        self.schools: Final = {row["slug"]: row["name"] for row in self._rows("schools")}
        self.staff: Final = list(self._rows("staff"))
        self.taken_login_id: Final = next(row["login_id"] for row in self._rows("pupils") if row["login_id"])
        self.pupils: Final[list[Pupil]] = []
        self._families: Final[defaultdict[str, set[Pupil]]] = defaultdict(set)
        addresses: defaultdict[str, list[str]] = defaultdict(list)
        for row in self._rows("contacts"):
            addresses[row["login_id"]].append(row["address"])
        for row in self._rows("pupils"):
            self.enter(row["school"], row["name"], addresses[row["login_id"]] if row["login_id"] else [])

    def enter(self, school: str, name: str, addresses: list[str]) -> None:
        """A pupil, and the addresses that get what is sent about the pupil."""
        pupil = Pupil(number=len(self.pupils), school=school, name=name, registered=bool(addresses))
        self.pupils.append(pupil)
        for address in addresses:
            self._families[address].add(pupil)

    @property
    def addresses(self) -> frozenset[str]:
        """Everybody's."""
        return frozenset(self._families)

    def audience(self, school: str | None) -> dict[str, tuple[str, ...]]:
        """Each address that gets a broadcast to a school, or to all, with the pupils whom its copy names."""
        found: dict[str, tuple[str, ...]] = {}
        for address, family in self._families.items():
            names = tuple(sorted(pupil.name for pupil in family if school in (None, pupil.school)))
            if names:
                found[address] = names
        return found

    def member(self, role: str, scope: str) -> Row:
        """The first of the staff with that role and scope."""
        for row in self.staff:
            if (row["role"], row["scope"]) == (role, scope):
                return row
        raise Amiss(f"the sample city has no {role} for {scope}")

    def _rows(self, name: str) -> Iterator[Row]:
        with (self._folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            yield from csv.DictReader(file)
