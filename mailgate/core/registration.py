"""Registration: what a guardian may type into the form, field by field, and what is kept of it.

Each field has one rule, which gives the value that is kept or the one Fault that stands in its way; `check` gathers all of them, so
that nobody mends a form one field at a time. A fault is a word; the sentence that says what to do is in the templates.

A name is kept exactly as it was written: 髙 and 𠮷 are people's names, and normalising would write them otherwise. What is *compared* is
another value beside it: a login ID without its case, a kana as one spelling of the many (`kana_key`). Full-width input is read as
ASCII where only ASCII can be meant. Addresses are kept out of every field that somebody may come to see.

Which grades and classes there are is a school's fact, and the registration code says which school: it comes in as `SchoolFacts`, or
None if no school has that code. Comparing codes, and whether an ID is taken, is for the journey, which sees them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from itertools import chain, count
from string import ascii_lowercase
from typing import Final, TypeAlias, TypeVar
from unicodedata import category, normalize

from mailgate.core.audience import SchoolKind, grades_of
from mailgate.core.tokens import compact

MAX_ADDRESSES: Final = 3

MIN_ID: Final = 4
MAX_ID: Final = 32
MAX_NAME: Final = 40
MAX_KANA: Final = 80
MAX_LABEL: Final = 20
MIN_PASSWORD: Final = 8
MAX_PASSWORD: Final = 128

# Normalising costs the square of a run of combining marks, so what is far too long is left as it is; no rule accepts it.
_FOLD_BOUND: Final = 256

_LOGIN_ID: Final = re.compile(r"[A-Za-z0-9._-]+")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Mc", "Me", "Mn", "Zl", "Zp", "Zs"})
_AT_SIGNS: Final = re.compile(r"[@＠﹫]")
# Controls, lone surrogates, line separators, and what turns the reading direction of all that follows.
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# ぁ-ゖ and the iteration marks ゝゞ, as far below their katakana as each other.
_TO_KATAKANA: Final = {code: code + 0x60 for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)}

# What guessing begins with, as far as eight characters let it. One or two characters over and over are refused by rule.
_COMMON: Final = """
    password password1 password12 password123 passw0rd p@ssw0rd p@ssword 12345678 123456789 1234567890 0123456789 01234567
    87654321 987654321 9876543210 0987654321 12341234 11223344 11112222 12344321 123123123 qwertyui qwertyuiop qwerty12
    qwerty123 qwer1234 1qaz2wsx zaq12wsx 1q2w3e4r 1q2w3e4r5t asdfghjk asdfghjkl asdfasdf asdf1234 zxcvbnm1 abcdefgh abcd1234
    abc12345 abcd12345 a1234567 a12345678 aa123456 iloveyou sunshine princess football baseball basketball superman computer
    internet whatever trustno1 letmein1 welcome1 admin123 administrator starwars doraemon pokemon1 pikachu1 sakura12 sakura123
    hogehoge tomodachi arigatou nekoneko sayonara
"""
_COMMON_PASSWORDS: Final = frozenset(_COMMON.split())


class Fault(StrEnum):
    """Why a field cannot stand as it is."""

    MISSING = "missing"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    AT_SIGN = "at_sign"  # a mail address, most likely
    CHARACTERS = "characters"
    LIKE_LOGIN_ID = "like_login_id"
    COMMON = "common"
    UNKNOWN_CODE = "unknown_code"
    UNKNOWN_GRADE = "unknown_grade"
    UNKNOWN_CLASS = "unknown_class"
    CLASS_WITHOUT_GRADE = "class_without_grade"
    UNKNOWN_KIND = "unknown_kind"
    TAKEN = "taken"  # said by the journey, which alone sees the other IDs
    ADDRESSES_FULL = "addresses_full"  # of "name": the pupil has three addresses, whichever IDs they came by
    GUARDIAN_FIRST = "guardian_first"  # of "kind": a pupil's own address comes after a guardian's


class ContactKind(StrEnum):
    """Whose address it is."""

    GUARDIAN = "guardian"
    PUPIL = "pupil"


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


Faults: TypeAlias = dict[str, Fault]
_T = TypeVar("_T")


def check(form: Form, *, school: SchoolFacts | None) -> Registration | Faults:
    """What is kept of a form, or all its faults by field; `school` is the one that has the form's code, None if none has."""
    faults: Faults = {}

    def kept(name: str, value: _T | Fault, blank: _T) -> _T:
        if isinstance(value, Fault):
            faults[name] = value
            return blank
        return value

    code = kept("code", _code(form.code, known=school is not None), "")
    login_id = kept("login_id", _login_id(form.login_id), "")
    password = kept("password", _password(form.password, login_id.casefold()), "")
    name = kept("name", _line(form.name, MAX_NAME, required=True), "")
    kana = kept("kana", _line(form.kana, MAX_KANA), "")
    judged_grade = _grade(form.grade, school)
    grade = kept("grade", judged_grade, None)
    class_slug = kept("class_name", _class_slug(form.class_name, judged_grade, school), None)
    label = kept("label", _line(form.label, MAX_LABEL), "")
    kind = kept("kind", _kind(form.kind), ContactKind.GUARDIAN)
    return faults or Registration(
        code=code,
        login_id=login_id,
        login_key=normal_login_id(login_id),
        password=password,
        name=name,
        kana=kana,
        kana_key=kana_key(kana or name),
        grade=grade,
        class_slug=class_slug,
        label=label,
        kind=kind,
    )


def normal_login_id(text: str) -> str:
    """A login ID as it is compared, with whatever case and width it was typed."""
    return _folded(text).casefold()


def normal_code(text: str) -> str:
    """A registration code as it is compared: upper-case ASCII without blanks and hyphens; "" if it cannot be one."""
    return compact(text).upper()


def kana_key(kana: str) -> str:
    """One spelling of a name's sound, the same for ハナコ, ﾊﾅｺ and はな　こ; Latin letters without their case."""
    bare = "".join(_folded(kana).split())
    return normalize("NFC", bare.translate(_TO_KATAKANA).casefold())


def school_year(day: date) -> int:
    """The year in which the school year of a day began: it begins on 1 April."""
    return day.year if day.month >= 4 else day.year - 1


def entry_year(grade: int | None, *, school_year: int) -> int:
    """The school year in which a pupil of that grade entered the school; of an unknown grade: this one."""
    return school_year - ((grade or 1) - 1)


def suggest_ids(wanted: str, *, entry_year: int, class_slug: str | None) -> Iterator[str]:
    """Legal IDs close to the one that is taken, no two alike and never the taken one, without end: the caller looks which are free."""
    taken, year = normal_login_id(wanted), str(entry_year)
    wish = re.sub(r"[^A-Za-z0-9._-]", "", _folded(wanted).partition("@")[0])[:20]
    # Who already tried a proposal gets no second year behind the first.
    stem = wish.partition(year)[0].rstrip("._-") or wish.rstrip("._-") or "id"
    with_class = class_slug is not None and len(class_slug) <= 8 and _LOGIN_ID.fullmatch(class_slug)
    endings = chain(
        [year, f"{year}-{class_slug}"] if with_class else [year],
        [f"-{year}{letter}" for letter in ascii_lowercase],
        map(f"-{year}-{{}}".format, count(2)),
    )
    proposals = (stem[: MAX_ID - len(ending)] + ending for ending in endings)
    return filter(lambda proposal: proposal.casefold() != taken, proposals)


def _folded(text: str) -> str:
    text = text.strip()
    return normalize("NFKC", text) if len(text) <= _FOLD_BOUND else text


def _code(text: str, *, known: bool) -> str | Fault:
    if not text.strip():
        return Fault.MISSING
    return normal_code(text) if known else Fault.UNKNOWN_CODE


def _login_id(text: str) -> str | Fault:
    login_id = _folded(text)
    if not login_id:
        return Fault.MISSING
    if _AT_SIGNS.search(login_id):
        return Fault.AT_SIGN
    if not _LOGIN_ID.fullmatch(login_id):
        return Fault.CHARACTERS
    return _within(login_id, MIN_ID, MAX_ID)


def _password(text: str, login_key: str) -> str | Fault:
    if not text:
        return Fault.MISSING
    if _UNFIT.search(text):
        return Fault.CHARACTERS
    if isinstance(fault := _within(text, MIN_PASSWORD, MAX_PASSWORD), Fault):
        return fault
    plain = normal_login_id(text)
    if plain in _COMMON_PASSWORDS or len(set(plain)) <= 2:
        return Fault.COMMON
    if plain == login_key[::-1] or (login_key and not plain.replace(login_key, "")):
        return Fault.LIKE_LOGIN_ID
    return text


def _line(text: str, limit: int, *, required: bool = False) -> str | Fault:
    """A line of a person's own, kept as it is but for the blanks around it."""
    text = text.strip()
    if _AT_SIGNS.search(text):
        return Fault.AT_SIGN
    if _UNFIT.search(text):
        return Fault.CHARACTERS
    if all(category(letter) in _INVISIBLE for letter in text):
        return Fault.MISSING if required else ""
    return _within(text, 1, limit)


def _within(text: str, least: int, most: int) -> str | Fault:
    if len(text) < least:
        return Fault.TOO_SHORT
    return Fault.TOO_LONG if len(text) > most else text


def _grade(text: str, school: SchoolFacts | None) -> int | Fault | None:
    digit = _folded(text)
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


def _kind(text: str) -> ContactKind | Fault:
    word = normal_login_id(text) or ContactKind.GUARDIAN
    return ContactKind(word) if word in set(ContactKind) else Fault.UNKNOWN_KIND
