"""Links: what a person presses, opened and made. One place knows the keys of both kinds of token."""

from dataclasses import dataclass
from typing import Final, Literal

from mailgate.core import returnpath, tokens
from mailgate.core.instants import DAY, HOUR, MINUTE, Instant, later
from mailgate.core.returnpath import Slot, Tokens
from mailgate.core.tokens import Expired, Invalid, LinkKeys, Purpose

INVITATION_LIFETIME: Final = 24 * HOUR
# The page of a broadcast is its sender's from draft to done, and a while after to look back.
SEND_LINK_LIFETIME: Final = 31 * DAY
PASSWORD_LIFETIME: Final = 2 * HOUR
UNDO_LIFETIME: Final = 72 * HOUR
# Between a right password and the choice of a contact: no password goes into a hidden field for that.
PROOF_LIFETIME: Final = 15 * MINUTE


@dataclass(frozen=True, slots=True)
class LinkDead:
    """A link that leads nowhere. Altered, truncated, foreign and unknown ones are all "invalid" and look the same."""

    reason: Literal["invalid", "expired", "burnt"]


INVALID_LINK: Final = LinkDead("invalid")
EXPIRED_LINK: Final = LinkDead("expired")
BURNT_LINK: Final = LinkDead("burnt")


class Links:
    """Makes and opens the tokens of people's links and of return paths."""

    def __init__(self, ring: tuple[bytes, ...], public_url: str) -> None:
        self._ring = ring
        self._keys = LinkKeys(ring)
        self._base = public_url.rstrip("/")

    def invitation_token(self, link_id: bytes, expires_at: Instant) -> str:
        """The token of an invitation: always the same for the same row."""
        return tokens.sign(self._keys, Purpose.INVITATION, id=link_id, expires_at=expires_at)

    def send_token(self, link_id: bytes, created_at: Instant) -> str:
        """The token of a broadcast's page for its sender."""
        return tokens.sign(self._keys, Purpose.SEND, id=link_id, expires_at=later(created_at, SEND_LINK_LIFETIME))

    def password_token(self, link_id: bytes, issued_at: Instant) -> str:
        """The token of a link for a new password."""
        return tokens.sign(self._keys, Purpose.PASSWORD, id=link_id, expires_at=later(issued_at, PASSWORD_LIFETIME))

    def undo_token(self, link_id: bytes, made_at: Instant) -> str:
        """The token that takes a change back."""
        return tokens.sign(self._keys, Purpose.UNDO, id=link_id, expires_at=later(made_at, UNDO_LIFETIME))

    def proof_token(self, proof: bytes, now: Instant) -> str:
        """The token of what was proven a moment ago."""
        return tokens.sign(self._keys, Purpose.PROOF, id=proof, expires_at=later(now, PROOF_LIFETIME))

    def open(self, purpose: Purpose, token: str, *, now: Instant) -> bytes | LinkDead:
        """The id in a token."""
        match tokens.open_(self._keys, purpose, token, now=now):
            case Invalid():
                return INVALID_LINK
            case Expired():
                return EXPIRED_LINK
            case link_id:
                return link_id

    def short_code(self, link_id: bytes) -> str:
        """The 8 digits of an invitation."""
        return tokens.short_code(self._keys, link_id)

    def code_index(self, code: str) -> bytes:
        """Under which a new short code is stored."""
        return tokens.short_code_index(self._keys, code)

    def code_indexes(self, typed: str) -> tuple[bytes, ...]:
        """Under which a typed short code may be stored; empty if it is none."""
        code = tokens.read_short_code(typed)
        return () if code is None else tokens.short_code_indexes(self._keys, code)

    def tokens(self, outbox_id: int) -> Tokens:
        """The return-path tokens of an outbox row."""
        return returnpath.tokens(self._ring[-1], outbox_id)

    def outbox_id(self, slot: Slot, token: str) -> int | None:
        """The outbox row that a return-path token names, if we made it for that purpose."""
        return returnpath.open_token(self._ring, slot, token)

    def url(self, path: str, token: str) -> str:
        """A page's whole address, e.g. `url("j", token)`."""
        return f"{self._base}/{path}/{token}"
