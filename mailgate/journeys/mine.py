"""Mine: a registration read whole, for its owner: what it is, and everything that is held about it."""

from collections.abc import Iterator

from mailgate.core.instants import DAY, Instant, later
from mailgate.journeys import lines
from mailgate.journeys.links import UNDO_LIFETIME
from mailgate.journeys.sessions import BROWSER_KNOWN, IDLE, Session
from mailgate.journeys.shown import HeldLine, Me
from mailgate.store import changes, contacts, invitations, logins, people, receipts, recovery
from mailgate.store.db import Row, Tx

# An invitation is erased so long after its end.
INVITATION_KEPT = DAY


async def read_me(tx: Tx, session: Session) -> Me | None:
    """Everything about the registration of a session; None: it is gone."""
    row = await people.registration_by_id(tx, session.registration_id)
    if row is None:
        return None
    its_contacts = await contacts.lines_of(tx, session.registration_id)
    others = await people.others_at_the_addresses(tx, session.registration_id)
    return Me(
        login_id=row["login_id"],
        pupil_name=row["pupil_name"],
        kana=row["kana"],
        school_name=row["school_name"],
        grade=row["grade"],
        class_name=row["class_name"],
        on_roster=bool(row["on_roster"]),
        language=its_contacts[0]["language"] if its_contacts else "ja",
        contacts=tuple(lines.line(each) for each in its_contacts),
        others=tuple(lines.registered(each) for each in others),
        held=(
            *_about(row),
            *_about_addresses(its_contacts),
            *await _about_mails(tx, row),
            *await _about_logins(tx, row),
        ),
        set_password=session.by_code,
    )


def _about(row: Row) -> Iterator[HeldLine]:
    yield HeldLine(what="login_id", value=row["login_id"], at=Instant(row["created_at"]))
    yield HeldLine(what="password", value="")
    yield HeldLine(what="pupil_name", value=row["pupil_name"])
    yield HeldLine(what="kana", value=row["kana"])
    yield HeldLine(what="school", value=row["school_name"])
    yield HeldLine(what="class", value=lines.registered(row).class_text)
    yield HeldLine(what="on_roster", value="yes" if row["is_rostered"] else "no")


def _about_addresses(its_contacts: list[Row]) -> Iterator[HeldLine]:
    for row in its_contacts:
        called = row["label"] or row["provider"]
        yield HeldLine(what="contact", value=called, at=Instant(row["created_at"]))
        if row["proven_at"] is not None:
            yield HeldLine(what="proven", value=called, at=Instant(row["proven_at"]))
        if row["paused_at"] is not None:
            yield HeldLine(what="paused", value=called, at=Instant(row["paused_at"]))
        if row["no_url"]:
            yield HeldLine(what="no_url", value=called)
        yield HeldLine(what="language", value=row["language"])


async def _about_mails(tx: Tx, row: Row) -> list[HeldLine]:
    counts = await receipts.counts_of_registration(tx, row["id"])
    invited = await invitations.invitations_of_registration(tx, row["id"])
    return [
        HeldLine(what="mails", value=str(counts["mails"]), at=lines.instant(counts["last_mail"])),
        HeldLine(what="receipts", value=str(counts["receipts"]), at=lines.instant(counts["last_receipt"])),
        *(_dated("invitation", each["issued_at"], later(Instant(each["expires_at"]), INVITATION_KEPT)) for each in invited),
    ]


async def _about_logins(tx: Tx, row: Row) -> list[HeldLine]:
    sessions, browsers = await logins.sessions_of(tx, row["id"]), await logins.browsers_of(tx, row["id"])
    code, links = await recovery.code_of(tx, row["id"]), await recovery.password_links_of(tx, row["id"])
    held = [_dated("session", each["created_at"], later(Instant(each["seen_at"]), IDLE)) for each in sessions]
    held += [_dated("browser", each["seen_at"], later(Instant(each["seen_at"]), BROWSER_KNOWN)) for each in browsers]
    held += [_dated("code", each["issued_at"], each["expires_at"]) for each in (code,) if each and not each["used_at"]]
    held += [_dated("password_link", each["issued_at"], each["expires_at"]) for each in links]
    held += [
        _dated("change", each["made_at"], later(Instant(each["made_at"]), UNDO_LIFETIME), value=each["kind"])
        for each in await changes.changes_of(tx, row["id"])
    ]
    return held


def _dated(what: str, at: int, until: int, *, value: str = "") -> HeldLine:
    return HeldLine(what=what, value=value, at=Instant(at), until=Instant(until))
