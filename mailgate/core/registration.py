"""Registration: what a guardian may type into the form, and what is kept of it.

`check` gathers the faults of all fields, so that nobody mends a form one field at a time; `check_child` does the same for the part that can
be written anew later. What each field may hold is in `core.fields`.

Which grades and classes there are is a school's fact, and the registration code says which school: it comes in as `SchoolFacts`, or
None if no school has that code. Comparing codes, and whether an ID is taken, is for the journey, which sees them.

How many addresses a pupil may have is one rule for all ways in (`AddressRule`): three of them, whichever ID they came by, and a pupil's own
only after a guardian's (MR-33). What counts is mailboxes: the same one under two IDs is one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import chain, count
from string import ascii_lowercase
from typing import Final, TypeAlias, TypeVar

from mailgate.core import fields
from mailgate.core.audience import SchoolKind, grades_of
from mailgate.core.fields import (
    LOGIN_ID,
    MAX_ID,
    MAX_KANA,
    MAX_LABEL,
    MAX_NAME,
    MAX_PASSWORD,
    MIN_ID,
    MIN_PASSWORD,
    ContactKind,
    Fault,
    folded,
    kana_key,
    normal_code,
    normal_login_id,
)

__all__ = [
    "MAX_ADDRESSES", "MAX_ID", "MAX_KANA", "MAX_LABEL", "MAX_NAME", "MAX_PASSWORD", "MIN_ID", "MIN_PASSWORD",
    "AddressRule", "Child", "ContactKind", "Fault", "Faults", "Form", "Holding", "Registration", "SchoolFacts",
    "check", "check_child", "entry_year", "kana_key", "lacks_guardian", "normal_code", "normal_login_id", "school_year", "suggest_ids",
]  # fmt: skip

MAX_ADDRESSES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Form:
    """The fields as they came; one that did not come is blank. Not shown: there is a password in it."""

    code: str = ""
    login_id: str = ""
    password: str = ""
    name: str = ""
    kana: str = ""
    grade: str = ""
    class_name: str = ""
    label: str = ""
    kind: str = ContactKind.GUARDIAN


@dataclass(frozen=True, slots=True, kw_only=True)
class SchoolFacts:
    """What the form is checked against: the classes of each grade, and what they are called beside their slugs."""

    kind: SchoolKind
    classes: Mapping[int, tuple[str, ...]]
    class_names: Mapping[tuple[int, str], str] = field(default_factory=dict)  # (grade, name): slug


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Registration:
    """What is kept; None where it is not known yet."""

    code: str
    login_id: str
    login_key: str
    password: str
    name: str
    kana: str
    kana_key: str
    grade: int | None
    class_slug: str | None
    label: str
    kind: ContactKind


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Child:
    """The part of a registration that can be written anew."""

    name: str
    kana: str
    kana_key: str
    grade: int | None
    class_slug: str | None


@dataclass(frozen=True, slots=True)
class Holding:
    """One address of a pupil, by whichever ID."""

    address_id: int
    kind: ContactKind


@dataclass(frozen=True, slots=True)
class AddressRule:
    """How many addresses a pupil may have, and whether the pupil's own count."""

    addresses: int = MAX_ADDRESSES
    pupils_count: bool = True

    def fits(self, there: Iterable[Holding], coming: Iterable[Holding]) -> bool:
        """Whether the addresses that come find room beside those that stay. One that is there already takes none."""
        before = self._counted(there)
        after = before | self._counted(coming)
        return after == before or len(after) <= self.addresses

    def _counted(self, holdings: Iterable[Holding]) -> set[int]:
        return {each.address_id for each in holdings if self.pupils_count or each.kind is ContactKind.GUARDIAN}


def lacks_guardian(kind: ContactKind, there: Iterable[Holding]) -> bool:
    """Whether an address of that kind has to wait for a guardian's."""
    return kind is ContactKind.PUPIL and all(each.kind is ContactKind.PUPIL for each in there)


Faults: TypeAlias = dict[str, Fault]
_T = TypeVar("_T")


def check(form: Form, *, school: SchoolFacts | None) -> Registration | Faults:
    """What is kept of a form, or all its faults by field; `school` is the one that has the form's code, None if none has."""
    faults: Faults = {}
    code = _kept(faults, "code", _code(form.code, known=school is not None), "")
    login_id = _kept(faults, "login_id", fields.login_id(form.login_id), "")
    password = _kept(faults, "password", fields.password(form.password, login_id.casefold()), "")
    child = _child(faults, form, school)
    label = _kept(faults, "label", fields.label(form.label), "")
    kind = _kept(faults, "kind", fields.kind(form.kind), ContactKind.GUARDIAN)
    return faults or Registration(
        code=code,
        login_id=login_id,
        login_key=normal_login_id(login_id),
        password=password,
        name=child.name,
        kana=child.kana,
        kana_key=child.kana_key,
        grade=child.grade,
        class_slug=child.class_slug,
        label=label,
        kind=kind,
    )


def check_child(form: Form, *, school: SchoolFacts) -> Child | Faults:
    """The same of name, kana, grade and class alone, at the school that the child is registered for."""
    faults: Faults = {}
    child = _child(faults, form, school)
    return faults or child


def school_year(day: date) -> int:
    """The year in which the school year of a day began: it begins on 1 April."""
    return day.year if day.month >= 4 else day.year - 1


def entry_year(grade: int | None, *, school_year: int) -> int:
    """The school year in which a pupil of that grade entered the school; of an unknown grade: this one."""
    return school_year - ((grade or 1) - 1)


def suggest_ids(wanted: str, *, entry_year: int, class_slug: str | None) -> Iterator[str]:
    """Legal IDs close to the one that is taken, no two alike and never the taken one, without end: the caller looks which are free."""
    taken, year = normal_login_id(wanted), str(entry_year)
    wish = re.sub(r"[^A-Za-z0-9._-]", "", folded(wanted).partition("@")[0])[:20]
    # Who already tried a proposal gets no second year behind the first.
    stem = wish.partition(year)[0].rstrip("._-") or wish.rstrip("._-") or "id"
    with_class = class_slug is not None and len(class_slug) <= 8 and LOGIN_ID.fullmatch(class_slug)
    endings = chain(
        [year, f"{year}-{class_slug}"] if with_class else [year],
        [f"-{year}{letter}" for letter in ascii_lowercase],
        map(f"-{year}-{{}}".format, count(2)),
    )
    proposals = (stem[: MAX_ID - len(ending)] + ending for ending in endings)
    return filter(lambda proposal: proposal.casefold() != taken, proposals)


def _kept(faults: Faults, field_name: str, value: _T | Fault, blank: _T) -> _T:
    if isinstance(value, Fault):
        faults[field_name] = value
        return blank
    return value


def _child(faults: Faults, form: Form, school: SchoolFacts | None) -> Child:
    name = _kept(faults, "name", fields.name(form.name), "")
    kana = _kept(faults, "kana", fields.kana(form.kana), "")
    judged_grade = _grade(form.grade, school)
    grade = _kept(faults, "grade", judged_grade, None)
    class_slug = _kept(faults, "class_name", _class_slug(form.class_name, judged_grade, school), None)
    return Child(name=name, kana=kana, kana_key=kana_key(kana or name), grade=grade, class_slug=class_slug)


def _code(text: str, *, known: bool) -> str | Fault:
    if not text.strip():
        return Fault.MISSING
    return normal_code(text) if known else Fault.UNKNOWN_CODE


def _grade(text: str, school: SchoolFacts | None) -> int | Fault | None:
    digit = folded(text)
    if not digit:
        return None
    # Without a school all that can be said is whether any school has such a grade.
    grades = grades_of(SchoolKind.COMPULSORY if school is None else school.kind)
    return int(digit) if re.fullmatch(r"[1-9]", digit) and int(digit) in grades else Fault.UNKNOWN_GRADE


def _class_slug(text: str, grade: int | Fault | None, school: SchoolFacts | None) -> str | Fault | None:
    """The slug of a class that was chosen or typed by its slug or its name; of a grade that is at fault nothing is said."""
    typed = normal_login_id(text)
    if not typed:
        return None
    if grade is None:
        return Fault.CLASS_WITHOUT_GRADE
    if school is None or isinstance(grade, Fault):
        return None
    named = {
        normal_login_id(name): slug for (its_grade, name), slug in school.class_names.items() if its_grade == grade
    }
    slugs = {normal_login_id(slug): slug for slug in school.classes.get(grade, ())}
    return (named | slugs).get(typed, Fault.UNKNOWN_CLASS)
