"""The house of these tests, one of each letter, and how a mail is read back."""

import email
import email.policy
from email.message import EmailMessage
from typing import cast

from mailgate.core.broadcast import Kind
from mailgate.core.instants import DAY, HOUR, Instant
from mailgate.core.letters import (
    AddressChanged,
    BroadcastText,
    Completion,
    Entry,
    Envelope,
    ForOperator,
    House,
    IdList,
    Invitation,
    Joined,
    Letter,
    NotRead,
    PasswordLink,
    Preview,
    Refusal,
    SitePaused,
    StaffRefused,
    Stopped,
    ToGuardian,
    Withdrawn,
)
from mailgate.core.lines import Lines
from mailgate.core.returnpath import Tokens
from mailgate.letters.prepared import Prepared
from mailgate.letters.writer import Writer
from mailgate.places import folder

PAGES = "https://touroku.example.jp"
NOW = Instant(1_795_502_400_000_000)  # Tuesday 2026-11-24, 15:40 in Tokyo

HOUSE = House(
    domain="gate.example.jp",
    name="学校メール",
    board="みどり市教育委員会",
    public_url=PAGES,
    helpline="0120-000-000",
    timezone="Asia/Tokyo",
)

ENVELOPE = Envelope(
    recipient="a..b@docomo.ne.jp",
    tokens=Tokens(bounce="b" * 26, receipt="k" * 26, stop="s" * 26, message_id="m" * 26),
    date=NOW,
)

INVITATION = Invitation(
    link=f"{PAGES}/j/AAECAwQFBgcICQoLDA0O",
    short_code="1234 5678",
    valid_until=Instant(NOW + DAY),
    page=PAGES,
)
ENTRY = Entry(login_id="hanako2026", pupil="北 花子", school="北小学校", grade=3, class_name="1")
SIBLING = Entry(login_id="taro2028", pupil="北 太郎", school="中央中学校", grade=1, class_name="たんぽぽ")
COMPLETION = Completion(
    entry=ENTRY,
    label="母のスマホ",
    free_mail=True,
    receipt_link=f"{PAGES}/k/{ENVELOPE.tokens.receipt}",
    another_link=f"{PAGES}/j/AAECAwQFBgcICQoLDA0O",
)
JOINED = Joined(ENTRY)
ID_LIST = IdList((ENTRY, SIBLING))
PASSWORD_LINK = PasswordLink(entry=ENTRY, link=f"{PAGES}/reset/AAECAwQFBgcICQoLDA0O", valid_until=Instant(NOW + 2 * HOUR))
ADDRESS_CHANGED = AddressChanged(
    entry=ENTRY,
    change="replaced",
    old_label="母のスマホ",
    new_label="母の新しいスマホ",
    made_at=NOW,
    undo_link=f"{PAGES}/undo/AAECAwQFBgcICQoLDA0O",
    undo_until=Instant(NOW + 3 * DAY),
)
WITHDRAWN = Withdrawn()
NOT_READ = NotRead(is_receipt=True, is_registered=False)
PREVIEW = Preview(
    subject="あすの臨時休業",
    text="あすは大雪のため休業とします。\n\n外出を控えてください。",
    kind=Kind.EMERGENCY,
    audience="北小学校 3年、南小学校",
    widened=True,
    recipients=1234,
    pupils=812,
    unregistered=41,
    cut="北小学校 教頭\n0144-00-0000",
    warnings=("mail_address", "url", "no_text"),
    link=f"{PAGES}/send/AAECAwQFBgcICQoLDA0O",
    lapses_at=Instant(NOW + DAY),
)
STOPPED = Stopped(f"{PAGES}/stop/{ENVELOPE.tokens.stop}")
ORIGINAL = b"From: someone@example.com\r\nSubject: hello\r\n\r\nPlease look.\r\n"
FOR_OPERATOR = ForOperator(ORIGINAL)
SITE_PAUSED = SitePaused(site="softbank", sent=1240, unknown=87)
BROADCAST = BroadcastText(
    kind=Kind.EMERGENCY,
    subject="あすの臨時休業",
    text="あすは大雪のため休業とします。\n\n外出を控えてください。",
    sender_name="北小学校",
    board="みどり市教育委員会",
    list_key="kita-es",
    feedback=("7", "kita-es"),
)
PUPILS = ("北 花子", "北 太郎")
LINK = f"{PAGES}/k/{ENVELOPE.tokens.receipt}"

TO_GUARDIAN: tuple[ToGuardian, ...] = (
    *(INVITATION, COMPLETION, JOINED, ID_LIST, PASSWORD_LINK, ADDRESS_CHANGED, WITHDRAWN, NOT_READ, STOPPED),
)
TO_STAFF: tuple[Letter, ...] = (
    PREVIEW,
    *(StaffRefused(reason=reason, audience="kita-ex.3", subject="遠足") for reason in Refusal),
    FOR_OPERATOR,
    SITE_PAUSED,
)
SINGLE: tuple[Letter, ...] = (*TO_GUARDIAN, *TO_STAFF)


def a_writer(house: House = HOUSE) -> Writer:
    return Writer(house, folder("templates"))


def copied(
    prepared: Prepared, envelope: Envelope = ENVELOPE, *, pupils: tuple[str, ...] = PUPILS, link: str | None = LINK
) -> Lines:
    """A copy for the reader and about the pupils of these tests, but for what is said to be otherwise."""
    return prepared.copy(envelope, pupils=pupils, link=link)


def read(mail: bytes) -> EmailMessage:
    """The mail as the standard library understands it."""
    return email.message_from_bytes(mail, policy=email.policy.default)


def text_of(mail: bytes) -> str:
    """The text of a mail, or of the first part of one."""
    message = read(mail)
    part = cast("EmailMessage", message.get_payload(0)) if message.is_multipart() else message
    text = part.get_content()
    assert isinstance(text, str)
    return text.replace("\r\n", "\n")


def header_lines(mail: bytes) -> list[str]:
    """The header block, line by line."""
    return mail.partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
