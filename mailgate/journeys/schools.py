"""Registration codes: printed on the sheet, typed by guardians."""

from typing import Final

from mailgate.core.instants import Instant
from mailgate.runtime import Dice
from mailgate.store import schools
from mailgate.store.db import Tx

# Without what is mistaken for another on paper: 0 O, 1 I L, 2 Z, 5 S, 8 B, U V.
_ALPHABET: Final = "3467ACDEFGHJKMNPQRTWXY"
_LETTERS: Final = 8


async def new_registration_code(tx: Tx, *, school_id: int, dice: Dice, now: Instant) -> str:
    """Draw a code nobody else has, as `ABCD-EFGH`, valid from now until it is rotated."""
    while True:
        letters = dice.text(_ALPHABET, _LETTERS)
        code = f"{letters[:4]}-{letters[4:]}"
        if await schools.add_code(tx, school_id=school_id, code=code, valid_from=now):
            return code
