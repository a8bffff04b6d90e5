"""Letters: each mail that we send, as a value.

A letter is what its reader has to learn and nothing else. It is made by a journey, from facts looked up at the moment of sending; links
come in as ready strings, because making a token needs a key. How a letter is worded is the business of its templates, how it becomes
bytes that of `mailgate.letters`.

- A letter has one reader. The envelope says who, how he is written to (core.readers), and carries the tokens of the outbox row it is sent
  for, so that the same row gives the same Message-ID and Date on every try.
- Letters to guardians are written in every language and with or without links; those to staff in Japanese, and with their link always:
  a preview without its page could not be confirmed.
- What is set into a header must be harmless there: an envelope and a broadcast that are not cannot be made.
- A mail has less than 100 kB. `fits` says so before anybody confirms a text, because on the way out it is too late to say no.
- What a letter says is private: none of these values shows its content in a repr.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final, Literal, TypeAlias, get_args

from mailgate.core.broadcast import LANE, Kind
from mailgate.core.delivery import Lane
from mailgate.core.instants import Instant
from mailgate.core.readers import Language
from mailgate.core.returnpath import Tokens
from mailgate.core.routing import BoxNames

MAX_MAIL: Final = 100_000  # octets, headers and all

# Base64 makes 78 octets of 57. What is left is for headers, names and links, and in a preview for the audience and what was cut.
_MAX_TEXT: Final = 50_000
_MAX_SUBJECT: Final = 600

# What core.addresses makes of a mailbox. A header is no place for anything else: it could hold a line of its own (MR-35).
_MAILBOX: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]++@[A-Za-z0-9.-]++")
_WORD: Final = re.compile(r"[A-Za-z0-9._-]++")
# Three ids and our own name: that is all a Feedback-ID has room for.
_MAX_FEEDBACK: Final = 3


class Refusal(StrEnum):
    """Why a staff mail became no draft."""

    UNKNOWN_AUDIENCE = "unknown_audience"
    BEYOND_SCOPE = "beyond_scope"
    NO_TEXT = "no_text"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Who writes: what every mail may mention."""

    domain: str
    name: str  # what people see as the sender
    board: str
    public_url: str  # without a slash at its end
    helpline: str  # number and hours; empty: there is none
    timezone: str
    boxes: BoxNames = field(default_factory=BoxNames)

    def box(self, local: str, token: str = "") -> str:
        """The address of one of our boxes, with a token where it takes one."""
        return f"{local}+{token}@{self.domain}" if token else f"{local}@{self.domain}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Envelope:
    """To whom, of which outbox row, when it was first owed, and how its reader is written to.

    Raises:
        ValueError: the recipient is no plain `local@domain`; the value is not in the text.
    """

    recipient: str
    tokens: Tokens
    date: Instant
    language: Language = Language.JA
    no_url: bool = False

    def __post_init__(self) -> None:
        if _MAILBOX.fullmatch(self.recipient) is None:
            raise ValueError("a recipient is local@domain and nothing more")


def return_path(house: House, envelope: Envelope) -> str:
    """The envelope sender: where the notices about this mail come back to."""
    return house.box(house.boxes.bounce, envelope.tokens.bounce)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Entry:
    """A registration, as its owner is told of it."""

    login_id: str
    pupil: str
    school: str
    grade: int | None  # None: not known yet
    class_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Invitation:
    """Answers a blank mail."""

    name: ClassVar[str] = "invitation"
    link: str | None  # None: the short code alone
    short_code: str  # as it is shown: `1234 5678`
    valid_until: Instant
    page: str  # where the short code is typed


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Completion:
    """Ends a registration, and asks for the first receipt of its address."""

    name: ClassVar[str] = "completion"
    entry: Entry
    label: str
    free_mail: bool
    receipt_link: str
    another_link: str | None  # None: the invitation's time is over


@dataclass(frozen=True, slots=True, repr=False)
class Joined:
    """Tells the other addresses of a pupil that somebody registered the same child; the entry is the reader's own."""

    name: ClassVar[str] = "joined"
    entry: Entry


@dataclass(frozen=True, slots=True, repr=False)
class IdList:
    """Answers the question under which login IDs an address is registered: none, one, or a child's each."""

    name: ClassVar[str] = "id_list"
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PasswordLink:
    """Lets a guardian who forgot the password set a new one."""

    name: ClassVar[str] = "password_link"
    entry: Entry
    link: str
    valid_until: Instant


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AddressChanged:
    """An address of a registration was added, replaced or taken away."""

    name: ClassVar[str] = "address_changed"
    entry: Entry
    change: Literal["added", "replaced", "removed"]
    old_label: str  # may be empty, as the next one
    new_label: str
    made_at: Instant
    undo_link: str | None  # None: it is news
    undo_until: Instant


@dataclass(frozen=True, slots=True, repr=False)
class Withdrawn:
    """The last mail to an address: it is registered no more."""

    name: ClassVar[str] = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NotRead:
    """Answers what somebody wrote to us: nobody at the school reads it."""

    name: ClassVar[str] = "not_read"
    is_receipt: bool  # it counted as one all the same
    is_registered: bool


@dataclass(frozen=True, slots=True, repr=False)
class Stopped:
    """Ordinary mail to this address is paused. An empty reply is the way back that every phone has."""

    name: ClassVar[str] = "stopped"
    resume_link: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Preview:
    """Shows a draft to the person who wrote it."""

    name: ClassVar[str] = "preview"
    subject: str  # without its tag
    text: str
    kind: Kind
    audience: str  # in words
    widened: bool  # a second mail added to the audience of this draft
    recipients: int  # addresses that would be written to
    pupils: int  # all pupils of the audience; 0: it has none
    unregistered: int | None  # those of them whom no address stands for; None: nobody can tell
    cut: str  # what was taken for a signature
    warnings: tuple[str, ...]
    link: str
    lapses_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StaffRefused:
    """Tells the writer of a staff mail that it became no draft."""

    name: ClassVar[str] = "staff_refused"
    reason: Refusal
    audience: str  # as it was written
    subject: str  # may be empty


@dataclass(frozen=True, slots=True, repr=False)
class ForOperator:
    """A mail to postmaster@ or abuse@, handed on."""

    name: ClassVar[str] = "for_operator"
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SitePaused:
    """Tells the operator that invitations to a site wait, because too many came back as unknown."""

    name: ClassVar[str] = "site_paused"
    site: str
    sent: int  # within the last hour
    unknown: int


ToGuardian: TypeAlias = (
    Invitation | Completion | Joined | IdList | PasswordLink | AddressChanged | Withdrawn | NotRead | Stopped
)
ToStaff: TypeAlias = Preview | StaffRefused | ForOperator | SitePaused
Letter: TypeAlias = ToGuardian | ToStaff
TO_GUARDIANS: Final[tuple[type[ToGuardian], ...]] = get_args(ToGuardian)
TO_STAFF: Final[tuple[type[ToStaff], ...]] = get_args(ToStaff)
LETTERS: Final[tuple[type[Letter], ...]] = (*TO_GUARDIANS, *TO_STAFF)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BroadcastText:
    """What all copies of a broadcast have in common.

    Raises:
        ValueError: a list key or a feedback id is no word, or there are more than three of them.
    """

    name: ClassVar[str] = "broadcast"
    kind: Kind
    subject: str  # without its tag
    text: str
    sender_name: str  # the school, or the board
    board: str
    list_key: str  # the school's slug, or `all`
    feedback: tuple[str, ...]  # ids for the receivers' statistics; nothing about a person

    def __post_init__(self) -> None:
        if len(self.feedback) > _MAX_FEEDBACK or not _are_words([self.list_key, *self.feedback]):
            raise ValueError(
                "a list key and up to three feedback ids are words of A-Z, a-z, 0-9, points, hyphens and underscores"
            )

    @property
    def is_alarm(self) -> bool:
        """True if it overtakes all else, and nobody can stop it."""
        return LANE[self.kind] is Lane.ALARM


def fits(*, subject: str, text: str) -> bool:
    """True if a broadcast of this subject and text, and its preview, stay below MAX_MAIL."""
    text_octets, subject_octets = (len(part.encode("utf-8", "surrogatepass")) for part in (text, subject))
    # On the wire a line ends in two octets.
    return text_octets + text.count("\n") <= _MAX_TEXT and subject_octets <= _MAX_SUBJECT


def _are_words(texts: Iterable[str]) -> bool:
    return all(_WORD.fullmatch(text) for text in texts)
