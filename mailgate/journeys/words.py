"""Words for what the tables hold: a class, an audience, a day. Japanese, as staff and guardians read them."""

from datetime import date
from zoneinfo import ZoneInfo

from mailgate.core.instants import Instant, to_datetime
from mailgate.store.db import Row

_LEVELS = {"elementary": "市内すべての小学校", "junior": "市内すべての中学校"}


def class_words(grade: int | None, class_name: str | None) -> str:
    """"3年1組", "3年 たんぽぽ", "3年", or "" when nothing is known yet."""
    if grade is None:
        return ""
    if class_name is None:
        return f"{grade}年"
    return f"{grade}年{class_name}組" if len(class_name) == 1 or class_name.isdecimal() else f"{grade}年 {class_name}"


def audience_words(part: Row) -> str:
    """One part of an audience, from `broadcasts.parts_of`."""
    if part["staff"]:
        return f"{part['school_name']}の教職員" if part["school_name"] else "すべての教職員"
    if part["level"]:
        return _LEVELS[part["level"]]
    if part["school_name"] is None:
        return "市内すべての学校"
    return " ".join(filter(None, (part["school_name"], class_words(part["grade"], part["class_name"]))))


def local_date(instant: Instant, timezone: str) -> date:
    """The day it is in the city."""
    return to_datetime(instant).astimezone(ZoneInfo(timezone)).date()
