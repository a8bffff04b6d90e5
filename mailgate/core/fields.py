"""Fields: what somebody may type, rule by rule, whichever form it stands in.

Each rule gives the value that is kept, or the one Fault that stands in its way. A fault is a word; the sentence that says what to do is in
the templates.

A name is kept exactly as it was written: 髙 and 𠮷 are people's names, and normalising would write them otherwise. What is *compared* is
another value beside it: a login ID without its case, a kana as one spelling of the many (`kana_key`). Full-width input is read as
ASCII where only ASCII can be meant. Addresses are kept out of every field that somebody may come to see.
"""

import re
from enum import StrEnum
from typing import Final
from unicodedata import category, normalize

from mailgate.core.tokens import compact

MIN_ID: Final = 4
MAX_ID: Final = 32
MAX_NAME: Final = 40
MAX_KANA: Final = 80
MAX_LABEL: Final = 20
MIN_PASSWORD: Final = 8
MAX_PASSWORD: Final = 128

# Normalising costs the square of a run of combining marks, so what is far too long is left as it is; no rule accepts it.
_FOLD_BOUND: Final = 256

LOGIN_ID: Final = re.compile(r"[A-Za-z0-9._-]+")
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Mc", "Me", "Mn", "Zl", "Zp", "Zs"})
_AT_SIGNS: Final = re.compile(r"[@＠﹫]")
# Controls, lone surrogates, line separators, and what turns the reading direction of all that follows.
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# In a name: emoji and other symbols, what encloses a digit, private characters of one phone. Radicals are symbols too, but some
# keyboards and documents give them for the kanji that they look like.
_PICTURES: Final = frozenset({"So", "Me", "Co"})
_RADICALS: Final = range(0x2E80, 0x2FE0)
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


def normal_login_id(text: str) -> str:
    """A login ID as it is compared, with whatever case and width it was typed."""
    return folded(text).casefold()


def normal_code(text: str) -> str:
    """A registration code as it is compared: upper-case ASCII without blanks and hyphens; "" if it cannot be one."""
    return compact(text).upper()


def kana_key(kana: str) -> str:
    """One spelling of a name's sound, the same for ハナコ, ﾊﾅｺ and はな　こ; Latin letters without their case."""
    bare = "".join(folded(kana).split())
    return normalize("NFC", bare.translate(_TO_KATAKANA).casefold())


def folded(text: str) -> str:
    """What was typed without blanks around it, in the plain width."""
    text = text.strip()
    return normalize("NFKC", text) if len(text) <= _FOLD_BOUND else text


def login_id(text: str) -> str | Fault:
    """A login ID as its owner writes it."""
    wanted = folded(text)
    if not wanted:
        return Fault.MISSING
    if _AT_SIGNS.search(wanted):
        return Fault.AT_SIGN
    if not LOGIN_ID.fullmatch(wanted):
        return Fault.CHARACTERS
    return _within(wanted, MIN_ID, MAX_ID)


def password(text: str, login_key: str) -> str | Fault:
    """A new password for the ID that is compared as `login_key`; "": not known yet."""
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


def name(text: str) -> str | Fault:
    """A pupil's name."""
    return _without_pictures(line(text, MAX_NAME, required=True))


def kana(text: str) -> str | Fault:
    """How it is read, in whatever letters; may be blank."""
    return _without_pictures(line(text, MAX_KANA))


def label(text: str) -> str | Fault:
    """What its owner calls an address; may be blank."""
    return line(text, MAX_LABEL)


def kind(text: str) -> ContactKind | Fault:
    """Whose address it is; a guardian's, if nothing is said."""
    word = normal_login_id(text) or ContactKind.GUARDIAN
    return ContactKind(word) if word in set(ContactKind) else Fault.UNKNOWN_KIND


def line(text: str, limit: int, *, required: bool = False) -> str | Fault:
    """A line of a person's own, kept as it is but for the blanks around it."""
    text = text.strip()
    if _AT_SIGNS.search(text):
        return Fault.AT_SIGN
    if _UNFIT.search(text):
        return Fault.CHARACTERS
    if all(category(letter) in _INVISIBLE for letter in text):
        return Fault.MISSING if required else ""
    return _within(text, 1, limit)


def _without_pictures(text: str | Fault) -> str | Fault:
    if isinstance(text, Fault):
        return text
    return Fault.CHARACTERS if any(category(letter) in _PICTURES and ord(letter) not in _RADICALS for letter in text) else text


def _within(text: str, least: int, most: int) -> str | Fault:
    if len(text) < least:
        return Fault.TOO_SHORT
    return Fault.TOO_LONG if len(text) > most else text
