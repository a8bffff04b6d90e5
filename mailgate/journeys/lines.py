"""Lines: rows become what an owner is shown."""

from mailgate.core.instants import Instant
from mailgate.journeys.shown import ContactLine, Registered
from mailgate.journeys.words import class_words
from mailgate.store import contacts
from mailgate.store.db import Row, Tx


def registered(row: Row) -> Registered:
    """A registration, from `people.registration_by_id` and its sisters."""
    return Registered(
        login_id=row["login_id"],
        pupil_name=row["pupil_name"],
        school_name=row["school_name"],
        class_text=class_words(row["grade"], row["class_name"]),
        on_roster=bool(row["on_roster"]),
    )


async def lines_of(tx: Tx, registration_id: int, *, this_address: int | None = None) -> tuple[ContactLine, ...]:
    """The contacts of a registration."""
    return tuple(line(row, this_address=this_address) for row in await contacts.lines_of(tx, registration_id))


def line(row: Row, *, this_address: int | None = None) -> ContactLine:
    """A contact, from `contacts.lines_of`."""
    return ContactLine(
        id=str(row["id"]),
        label=row["label"],
        kind=row["kind"],
        provider=row["provider"],
        proven_on=instant(row["proven_at"]),
        last_delivery=instant(row["last_delivery"]),
        is_this=row["address_id"] == this_address,
    )


def contact_id_of(text: str) -> int | None:
    """The contact that a form names; None if it names none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def instant(value: int | None) -> Instant | None:
    """An instant, where there is one."""
    return None if value is None else Instant(value)
