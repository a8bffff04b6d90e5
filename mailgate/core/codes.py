"""Codes on paper: what schools hand out and families type.

The alphabet leaves out what is mistaken for another on paper: 0 O, 1 I L, 2 Z, 5 S, 8 B, U V. A one-time code has ten letters of it, 44
bits: it stands in for a password once, within a week, and the tries are counted.
"""

import re
from typing import Final

from mailgate.core.instants import DAY
from mailgate.core.tokens import compact

ALPHABET: Final = "3467ACDEFGHJKMNPQRTWXY"

ONE_TIME_LETTERS: Final = 10
ONE_TIME_LIFETIME: Final = 7 * DAY
ONE_TIME_TRIES: Final = 10

_ONE_TIME: Final = re.compile(rf"[{ALPHABET}]{{{ONE_TIME_LETTERS}}}")


def shown_one_time(code: str) -> str:
    """A one-time code as it is printed: `ACDEF-GHJKM`."""
    return f"{code[:5]}-{code[5:]}"


def read_one_time(typed: str) -> str | None:
    """The one-time code that somebody typed, whatever case, width and grouping; None if it is none."""
    code = compact(typed).upper()
    return code if _ONE_TIME.fullmatch(code) else None
