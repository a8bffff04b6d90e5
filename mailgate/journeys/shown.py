"""What an owner is shown: a registration, its contacts, what is kept of them, and what became of a wish.

Records only: journeys make them, pages and mails word them. An address is never in one; a contact is known by its label, its provider and
its days.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from mailgate.core.fields import Fault
from mailgate.core.instants import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A registration as its owner sees it."""

    login_id: str
    pupil_name: str  # as its owner wrote it
    school_name: str
    class_text: str  # "3年1組", "3年", "": not known yet
    on_roster: bool  # False: the school has a roster and no such child on it: please check the spelling; school-wide mail only


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactLine:
    """One address of a registration, without the address."""

    id: str  # opaque; what a form names it by
    label: str  # may be empty
    kind: str  # 'guardian' or 'pupil'
    provider: str  # 'docomo', 'gmail', ...
    proven_on: Instant | None  # None: its completion mail was never answered
    last_delivery: Instant | None
    is_this: bool  # the address that the link at hand was mailed to


@dataclass(frozen=True, slots=True)
class Client:
    """Who tries a password: wrong ones are counted by it."""

    network: str  # web.security.Clients.network_of
    browser: bytes | None = None  # what the browser's cookie gives, as it is: LoggedIn.browser in ASCII; None: no cookie


# Every word that HeldLine.what may be; pages have a sentence for each.
HELD: Final = (
    "login_id",  # value: the ID; at: registered
    "password",  # value: ""; only a hash of it is kept
    "pupil_name",
    "kana",
    "school",
    "class",
    "on_roster",  # value: "yes" or "no": the school's own list has this child
    "contact",  # value: its label, else its provider; at: since
    "proven",  # value: as above; at: the day of its first receipt
    "paused",  # value: as above; at: since when ordinary mail is stopped
    "no_url",  # value: as above: its mails hold no link
    "language",  # value: 'ja', 'en' or 'easy'
    "mails",  # value: how many mails to these addresses are remembered; at: the last one
    "receipts",  # value: how many of them were confirmed; at: the last one
    "invitation",  # value: ""; at: issued; until: erased
    "session",  # value: ""; at: logged in; until: over if nothing happens
    "browser",  # value: ""; at: last seen; until: forgotten
    "code",  # a one-time code of the school; at: issued; until: valid
    "password_link",  # at: asked for; until: valid
    "change",  # value: 'added', 'replaced' or 'removed'; at: made; until: can be undone, and is remembered
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLine:
    """One thing that is stored about a registration."""

    what: str  # one of HELD
    value: str
    at: Instant | None = None
    until: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """The secrets of two cookies: of the session, and of the browser (to be kept for a year or more)."""

    session: str
    browser: str
    set_password: bool  # came by a one-time code: show the form for a new password first


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRefused:
    """A wrong ID or password, which of them is not said. With a wait: nothing was looked at, come back after so many seconds."""

    wait_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AddRefused:
    """Why an address was not added to an ID, or put in the place of another."""

    reason: Literal["login", "wait", "full", "guardian_first", "already", "fields"]
    wait_s: int = 0  # of "wait": nothing was looked at, come back after so many seconds
    faults: Mapping[str, Fault] = field(default_factory=dict)  # of "fields": label, kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseContact:
    """The login was right and the ID has several addresses: which one goes? Post again with login_id, contact and proof, no password."""

    proof: str  # 15 minutes, for this invitation and this registration only
    contacts: tuple[ContactLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """A registration, whole, as its owner sees it."""

    login_id: str
    pupil_name: str
    kana: str
    school_name: str
    grade: int | None
    class_name: str | None  # what the form's field takes again
    on_roster: bool  # as Registered.on_roster
    language: str  # 'ja', 'en', 'easy'
    contacts: tuple[ContactLine, ...]
    others: tuple[Registered, ...]  # other IDs at the addresses of this registration
    held: tuple[HeldLine, ...]
    set_password: bool  # change_password asks for no old one now


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoView:
    """What an undo link would take back."""

    kind: Literal["added", "replaced", "removed"]
    pupil_name: str
    old_label: str  # of the address that would come back; "" for an addition
    new_label: str  # of the address that would go; "" for a removal
    made_at: Instant
    until: Instant
    undone: bool  # it was pressed before
    more: int  # later changes of the same registration, which are taken back with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What was taken back. All logins are ended and the password does not work any more: offer a new one at once."""

    login_id: str
    restored: bool  # False: an addition was taken back; or the pupil has three other addresses by now, and the old one found no place
    removed: int  # contacts that are gone
    reset_token: str | None  # /reset/TOKEN; None: it was pressed before
