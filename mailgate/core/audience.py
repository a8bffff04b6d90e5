"""Audiences: whom a broadcast is for, as it is written in a mail address, and who may write to whom.

An audience is a union of parts; a part is a value with one canonical text (`str(part)`), the one that addresses, scopes and the
database use: `all`, `elementary`, `junior`, `SCHOOL`, `SCHOOL.3`, `SCHOOL.3-1`, `staff`, `staff.SCHOOL`. Mail servers fold case, so
text is read in any case and slugs are lower-case. From an address only ASCII comes; a class may all the same be named by any
text (`たんぽぽ`), and a scope, which is typed at a command, may name it so.

`covers` is the one rule of scope: a partial order with City at its top. Where a school stands in it is known by slugs alone, so a level,
which is made of many schools' grades, is covered by the city and itself only. Which grades belong to a level: 1-6 of elementary and
compulsory schools are elementary; 1-3 of junior and 7-9 of compulsory schools are junior.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, TypeAlias


class SchoolKind(StrEnum):
    """小学校, 中学校, 義務教育学校."""

    ELEMENTARY = "elementary"
    JUNIOR = "junior"
    COMPULSORY = "compulsory"


LevelName: TypeAlias = Literal["elementary", "junior"]

_LEVELS: Final[Mapping[SchoolKind, Mapping[LevelName, range]]] = MappingProxyType(
    {
        SchoolKind.ELEMENTARY: MappingProxyType({"elementary": range(1, 7), "junior": range(0)}),
        SchoolKind.JUNIOR: MappingProxyType({"elementary": range(0), "junior": range(1, 4)}),
        SchoolKind.COMPULSORY: MappingProxyType({"elementary": range(1, 7), "junior": range(7, 10)}),
    }
)
_GRADES: Final[Mapping[SchoolKind, range]] = MappingProxyType(
    {
        SchoolKind.ELEMENTARY: range(1, 7),
        SchoolKind.JUNIOR: range(1, 4),
        SchoolKind.COMPULSORY: range(1, 10),
    }
)

# Words of the language of audiences: no school can be called so.
RESERVED: Final = frozenset({"all", "elementary", "junior", "staff"})

_SLUG: Final = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_SCHOOL: Final = re.compile(_SLUG)
_CLASS: Final = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")
_BELOW: Final = re.compile(rf"({_SLUG})\.([1-9])(?:-(.+))?")
_MAX_SLUG: Final = 32


@dataclass(frozen=True, slots=True)
class City:
    """Every guardian of every school."""

    def __str__(self) -> str:
        return "all"


@dataclass(frozen=True, slots=True)
class Level:
    """The guardians of all elementary or all junior grades of the city."""

    name: LevelName

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class School:
    """The guardians of one school."""

    slug: str

    def __str__(self) -> str:
        return self.slug


@dataclass(frozen=True, slots=True)
class Grade:
    """The guardians of one grade."""

    slug: str
    grade: int

    def __str__(self) -> str:
        return f"{self.slug}.{self.grade}"


@dataclass(frozen=True, slots=True)
class Class:
    """The guardians of one class; `slug` is the school's."""

    slug: str
    grade: int
    class_slug: str

    def __str__(self) -> str:
        return f"{self.slug}.{self.grade}-{self.class_slug}"


@dataclass(frozen=True, slots=True)
class Staff:
    """The staff of one school, or of all (None)."""

    slug: str | None

    def __str__(self) -> str:
        return "staff" if self.slug is None else f"staff.{self.slug}"


Part: TypeAlias = City | Level | School | Grade | Class | Staff
Scope: TypeAlias = City | School | Grade | Class

_WORDS: Final[Mapping[str, Part]] = MappingProxyType(
    {"all": City(), "elementary": Level("elementary"), "junior": Level("junior"), "staff": Staff(None)}
)


def grades_of(kind: str) -> range:
    """The grades of a school of that kind; a word that is no kind is a ValueError."""
    return _GRADES[SchoolKind(kind)]


def grades_at(level: LevelName, kind: str) -> range:
    """The grades of a school of that kind that belong to a level; empty if none does."""
    return _LEVELS[SchoolKind(kind)][level]


def is_school_slug(text: str) -> bool:
    """True if a school can be called so: lower-case ASCII letters, digits and single hyphens, up to 32, and no reserved word."""
    return len(text) <= _MAX_SLUG and _SCHOOL.fullmatch(text) is not None and text not in RESERVED


def is_class_slug(text: str) -> bool:
    """True if a mail address can name a class so: as a school's slug, underscores too."""
    return len(text) <= _MAX_SLUG and _CLASS.fullmatch(text) is not None


def parse(text: str) -> Part | None:
    """The part that the tag of an address names; None if it is none. Whether there is such a school is not asked here."""
    part = _parse(text) if text.isascii() else None
    return None if isinstance(part, Class) and not is_class_slug(part.class_slug) else part


def parse_scope(text: str) -> Scope | None:
    """The scope that somebody is given: `all` or `SCHOOL[.GRADE[-CLASS]]`, where CLASS may be any text without blanks."""
    part = _parse(text.strip())
    return None if isinstance(part, Level | Staff) else part


def covers(scope: Part, part: Part) -> bool:
    """True if who may send to `scope` may send to `part`."""
    match scope:
        case City():
            return True
        case School(slug):
            return isinstance(part, School | Grade | Class | Staff) and part.slug == slug
        case Grade(slug, grade):
            return isinstance(part, Grade | Class) and (part.slug, part.grade) == (slug, grade)
        case Staff(None):
            return isinstance(part, Staff)
        case _:  # a level, a class, the staff of one school: nothing lies below
            return part == scope


def _parse(text: str) -> Part | None:
    text = text.lower()
    if text in _WORDS:
        return _WORDS[text]
    if is_school_slug(text):
        return School(text)
    if text.startswith("staff."):
        slug = text.removeprefix("staff.")
        return Staff(slug) if is_school_slug(slug) else None
    below = _BELOW.fullmatch(text)
    if below is None or not is_school_slug(below[1]):
        return None
    slug, grade, class_slug = below[1], int(below[2]), below[3]
    if class_slug is None:
        return Grade(slug, grade)
    return Class(slug, grade, class_slug) if class_slug.isprintable() and " " not in class_slug else None
