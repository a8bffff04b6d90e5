"""Keeping, in memory: one registration, one password, what the pages are promised of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from mailgate.core import registration
from mailgate.core.instants import DAY, HOUR, later
from mailgate.core.readers import Language
from mailgate.core.registration import Fault
from mailgate.journeys.keep import HELD, HeldLine, LoggedIn, LoginRefused, Me, Undone, UndoView
from mailgate.journeys.links import EXPIRED_LINK, INVALID_LINK, LinkDead
from mailgate.journeys.shown import Client, Registered
from tests.fakes import NEW_YEAR_2026
from tests.web.people import FATHER, MOTHER, OWNER, PASSWORD

RESET_TOKEN = "reset".ljust(27, "x") + "." + "y" * 43
UNDO_TOKEN = "undo".ljust(27, "x") + "." + "y" * 43
OLD_TOKEN = "old".ljust(27, "x") + "." + "y" * 43
SCHOOLS_CODE = "1234-5678-9012"

_VALUES = {
    "login_id": OWNER,
    "pupil_name": "山田 花子",
    "kana": "ヤマダ ハナコ",
    "school": "北小学校",
    "class": "3年1組",
    "on_roster": "yes",
    "contact": "母のスマホ",
    "proven": "母のスマホ",
    "paused": "gmail",
    "no_url": "gmail",
    "language": "ja",
    "mails": "12",
    "receipts": "3",
    "change": "replaced",
}
_UNDATED = ("password", "pupil_name", "kana", "school", "class", "on_roster", "no_url", "language")
_ENDING = ("invitation", "session", "browser", "code", "password_link", "change")


class FakeKeep:
    """One registration; a session is a number in a long word."""

    def __init__(self) -> None:
        self.owner = Me(
            login_id=OWNER,
            pupil_name="山田 花子",
            kana="ヤマダ ハナコ",
            school_name="北小学校",
            grade=3,
            class_name="1",
            on_roster=True,
            language="ja",
            contacts=(MOTHER, FATHER),
            others=(
                Registered(
                    login_id="jiro-y", pupil_name="山田 次郎", school_name="中央中学校", class_text="", on_roster=True
                ),
            ),
            held=tuple(
                HeldLine(
                    what=what,
                    value=_VALUES.get(what, ""),
                    at=None if what in _UNDATED else NEW_YEAR_2026,
                    until=later(NEW_YEAR_2026, 3 * DAY) if what in _ENDING else None,
                )
                for what in HELD
            ),
            set_password=False,
        )
        self.password = PASSWORD
        self.wait_s = 0
        self.sessions: dict[str, bool] = {}
        self.tries: list[tuple[str, str, Client, str]] = []
        self.asked: list[str] = []
        self.erased: list[str] = []
        self.undone = False
        self.no_place = False
        self.ends_after_a_look = False

    async def login(
        self, *, login_id: str, password: str, client: Client, previous: str = ""
    ) -> LoggedIn | LoginRefused:
        self.tries.append((login_id, password, client, previous))
        if self.wait_s:
            return LoginRefused(wait_s=self.wait_s)
        by_code = password == SCHOOLS_CODE
        if login_id != OWNER or not (by_code or password == self.password):
            return LoginRefused()
        self.sessions.pop(previous, None)
        session = f"session-number-{len(self.tries):04}-of-many"
        self.sessions[session] = by_code
        return LoggedIn(session=session, browser="browser-number-one-of-many", set_password=by_code)

    async def logout(self, session: str) -> None:
        self.sessions.pop(session, None)

    async def me(self, session: str) -> Me | None:
        by_code = self.sessions.get(session)
        if self.ends_after_a_look:
            self.sessions.clear()
        return None if by_code is None else replace(self.owner, set_password=by_code)

    async def change_child(
        self, session: str, *, name: str, kana: str, grade: str, class_name: str
    ) -> Me | Mapping[str, Fault] | None:
        if session not in self.sessions:
            return None
        if not name:
            return {"kana": Fault.AT_SIGN, "name": Fault.MISSING} if "@" in kana else {"name": Fault.MISSING}
        self.owner = replace(
            self.owner, pupil_name=name, kana=kana, grade=int(grade) if grade else None, class_name=class_name or None
        )
        return self.owner

    async def change_password(self, session: str, *, old: str, new: str) -> Literal[True] | Fault | LoginRefused | None:
        if session not in self.sessions:
            return None
        if self.wait_s:
            return LoginRefused(wait_s=self.wait_s)
        if old != self.password and not self.sessions[session]:
            return LoginRefused()
        if len(new) < registration.MIN_PASSWORD:
            return Fault.TOO_SHORT
        self.password, self.sessions = new, {session: False}
        return True

    async def change_language(self, session: str, language: str) -> bool | None:
        if session not in self.sessions:
            return None
        if language not in set(Language):
            return False
        self.owner = replace(self.owner, language=language)
        return True

    async def rename_contact(self, session: str, contact: str, label: str) -> Literal[True] | Fault | None:
        if session not in self.sessions:
            return None
        if "@" in label:
            return Fault.AT_SIGN
        contacts = [replace(line, label=label) if line.id == contact else line for line in self.owner.contacts]
        self.owner = replace(self.owner, contacts=tuple(contacts))
        return True

    async def remove_contact(self, session: str, contact: str) -> Literal["removed", "last", "unknown"] | None:
        if session not in self.sessions:
            return None
        return self._take(contact)

    async def withdraw(
        self, session: str, *, what: str, password: str
    ) -> Literal["withdrawn", "last", "unknown"] | LoginRefused | None:
        if session not in self.sessions:
            return None
        if self.wait_s:
            return LoginRefused(wait_s=self.wait_s)
        if password != self.password and not self.sessions[session]:
            return LoginRefused()
        if what != "all":
            outcome = self._take(what)
            return "withdrawn" if outcome == "removed" else outcome
        self.erased.append("all")
        self.sessions.clear()
        return "withdrawn"

    def _take(self, contact: str) -> Literal["removed", "last", "unknown"]:
        if len(self.owner.contacts) == 1:
            return "last"
        self.erased.append(contact)
        self.owner = replace(self.owner, contacts=tuple(line for line in self.owner.contacts if line.id != contact))
        return "removed"

    async def forgot(self, login_id: str, *, client: Client) -> None:
        self.asked.append(login_id)

    async def reset_view(self, token: str) -> str | LinkDead:
        return self._dead(token, RESET_TOKEN) or OWNER

    async def reset(self, token: str, new: str, *, client: Client) -> Literal[True] | Fault | LinkDead:
        dead = self._dead(token, RESET_TOKEN)
        if dead is not None:
            return dead
        if len(new) < registration.MIN_PASSWORD:
            return Fault.TOO_SHORT
        self.password, self.sessions = new, {}
        return True

    async def undo_view(self, token: str) -> UndoView | LinkDead:
        return self._dead(token, UNDO_TOKEN) or UndoView(
            kind="replaced",
            pupil_name="山田 花子",
            old_label="母のスマホ",
            new_label="新しいスマホ",
            made_at=NEW_YEAR_2026,
            until=later(NEW_YEAR_2026, 72 * HOUR),
            undone=self.undone,
            more=1,
        )

    async def undo(self, token: str) -> Undone | LinkDead:
        dead = self._dead(token, UNDO_TOKEN)
        if dead is not None:
            return dead
        before, self.undone = self.undone, True
        return Undone(
            login_id=OWNER,
            restored=not self.no_place,
            removed=1,
            reset_token=None if before else RESET_TOKEN,
        )

    def _dead(self, token: str, living: str) -> LinkDead | None:
        if token == OLD_TOKEN:
            return EXPIRED_LINK
        return None if token == living else INVALID_LINK
