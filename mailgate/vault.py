"""Keys, and what they seal.

Keys live in files outside the database, one base64 key of 32 octets a line, oldest first: the last one seals and signs, all of them
open. In production they come from systemd credentials, otherwise from `keys.dir`.

| file      | who has it          | for |
|-----------|---------------------|-----|
| `address` | mail side, commands | the addresses, and mails kept whole |
| `lookup`  | mail side, commands | finding an address again without opening it |
| `links`   | both                | signed links, short codes, delivery tokens, the text of broadcasts |
| `web`     | both                | TOTP secrets; digests of one-time codes and of failed logins |

The web side runs without the first two: it cannot show what it cannot read. What is sealed is bound to its table, column and row, so
a value moved to another row does not open. AES-256-GCM with a drawn nonce (NIST SP 800-38D), HMAC-SHA-256 for look-ups.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailgate.core.addresses import Address
from mailgate.runtime import Dice

KEY_OCTETS: Final = 32
_NONCE_OCTETS: Final = 12
_MARK_OCTETS: Final = 4
_PROOF_TEXT: Final = b"mailgate: this key opens this database"

MAIL_KEYS: Final = ("address", "lookup", "links", "web")
WEB_KEYS: Final = ("links", "web")


class KeysUnfit(Exception):
    """A key is missing or wrong; the text says which and what to do."""


class SealBroken(Exception):
    """A sealed value does not open: another key, another row, or somebody changed it."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys one process may use, by file name."""

    by_name: Mapping[str, tuple[bytes, ...]] = field(repr=False)

    def ring(self, name: str) -> tuple[bytes, ...]:
        """All keys of a file, oldest first."""
        return self.by_name[name]

    def proofs(self) -> dict[str, list[bytes]]:
        """What each key gives for a constant, newest first: kept in the database to recognise a wrong key."""
        return {
            name: [hmac.digest(key, _PROOF_TEXT, "sha256") for key in reversed(ring)]
            for name, ring in self.by_name.items()
        }


def new_key(dice: Dice) -> bytes:
    """A fresh key as a line of a key file."""
    return base64.urlsafe_b64encode(dice.octets(KEY_OCTETS)) + b"\n"


def load_keys(directory: Path, names: Sequence[str]) -> Keys:
    """Read the named key files.

    Raises:
        KeysUnfit: a file is missing, unreadable or no key file.
    """
    return Keys({name: _read_ring(directory / name) for name in names})


def _read_ring(path: Path) -> tuple[bytes, ...]:
    try:
        lines = path.read_bytes().split()
    except FileNotFoundError:
        raise KeysUnfit(f"the key file {path} is missing: restore it from the recovery kit or a backup of the keys") from None
    except OSError as error:
        raise KeysUnfit(f"the key file {path} cannot be read ({error.strerror}): let the mailgate user read it") from None
    try:
        ring = tuple(base64.urlsafe_b64decode(line) for line in lines)
    except binascii.Error:
        ring = ()
    if not ring or any(len(key) != KEY_OCTETS for key in ring):
        raise KeysUnfit(f"the key file {path} is damaged: it must hold base64 keys of {KEY_OCTETS} octets, one a line")
    return ring


class Seal:
    """Seals octets with the newest key of a ring; opens what any of them sealed."""

    def __init__(self, ring: tuple[bytes, ...], dice: Dice) -> None:
        self._ciphers = {_mark(key): AESGCM(key) for key in ring}
        self._newest = _mark(ring[-1])
        self._dice = dice

    def seal(self, plain: bytes, context: str) -> bytes:
        """Key mark, nonce, ciphertext and tag. `context` (table.column:id) must be given again to open it."""
        nonce = self._dice.octets(_NONCE_OCTETS)
        return self._newest + nonce + self._ciphers[self._newest].encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """The octets that were sealed for this context.

        Raises:
            SealBroken: they were not, or not with a key of ours.
        """
        cipher = self._ciphers.get(sealed[:_MARK_OCTETS])
        if cipher is None:
            raise SealBroken("sealed with a key that is not here")
        nonce_end = _MARK_OCTETS + _NONCE_OCTETS
        try:
            return cipher.decrypt(sealed[_MARK_OCTETS:nonce_end], sealed[nonce_end:], context.encode())
        except (InvalidTag, ValueError):  # ValueError: too short to hold even a nonce
            raise SealBroken("changed, or moved from another row") from None


class AddressVault:
    """Seals addresses and mails kept whole; the mail side's alone."""

    def __init__(self, keys: Keys, dice: Dice) -> None:
        self._seal = Seal(keys.ring("address"), dice)
        self._lookup_keys = keys.ring("lookup")[::-1]

    def seal_address(self, address: Address, row_id: int) -> bytes:
        """An address sealed for its row, as it was first seen."""
        return self._seal.seal(address.spec.encode(), f"address.sealed:{row_id}")

    def open_address(self, sealed: bytes, row_id: int) -> str:
        """The address of a row, as it is written between brackets."""
        return self._seal.open(sealed, f"address.sealed:{row_id}").decode()

    def lookup(self, address: Address) -> bytes:
        """The keyed digest of an address's identity: equal for equal mailboxes, meaningless without the key."""
        return self.lookups(address)[0]

    def lookups(self, address: Address) -> tuple[bytes, ...]:
        """The digests under which an address may be stored, newest key first: rows outlive a rotation of keys."""
        return tuple(hmac.digest(key, address.key.encode(), "sha256") for key in self._lookup_keys)

    def digest(self, material: bytes) -> bytes:
        """A keyed digest of a mail's identity, which may hold addresses."""
        return hmac.digest(self._lookup_keys[0], b"mail\0" + material, "sha256")

    def seal_mail(self, content: bytes, row_id: int) -> bytes:
        """A whole mail sealed for its row."""
        return self._seal.seal(content, f"kept_mail.sealed:{row_id}")

    def open_mail(self, sealed: bytes, row_id: int) -> bytes:
        """The whole mail of a row."""
        return self._seal.open(sealed, f"kept_mail.sealed:{row_id}")


class TextVault:
    """Seals what both sides read: the text of broadcasts, with keys derived from `links`; TOTP secrets, from `web`."""

    def __init__(self, keys: Keys, dice: Dice) -> None:
        self._text = Seal(tuple(_derived(key, b"text") for key in keys.ring("links")), dice)
        self._totp = Seal(tuple(_derived(key, b"totp") for key in keys.ring("web")), dice)

    def seal_text(self, text: str, column: str, row_id: int) -> bytes:
        """A text of a broadcast row; `column` is subject, text or cut."""
        return self._text.seal(text.encode(), f"broadcast.{column}:{row_id}")

    def open_text(self, sealed: bytes, column: str, row_id: int) -> str:
        """The text again."""
        return self._text.open(sealed, f"broadcast.{column}:{row_id}").decode()

    def seal_totp(self, secret: bytes, row_id: int) -> bytes:
        """A staff member's TOTP secret."""
        return self._totp.seal(secret, f"staff.totp_sealed:{row_id}")


class Digests:
    """Keyed digests for what must be found again and never read: one-time codes, who failed to log in from where."""

    def __init__(self, keys: Keys) -> None:
        self._ring = tuple(_derived(key, b"digest") for key in keys.ring("web"))

    def of(self, purpose: str, *parts: str | int | bytes) -> bytes:
        """The digest by the newest key; no two lists of parts have the same."""
        return hmac.digest(self._ring[-1], _joined(purpose, parts), "sha256")

    def matches(self, digest: bytes, purpose: str, *parts: str | int | bytes) -> bool:
        """Whether any of our keys gives this digest, in a time that does not tell which."""
        text = _joined(purpose, parts)
        found = [hmac.compare_digest(hmac.digest(key, text, "sha256"), digest) for key in self._ring]
        return any(found)


def _joined(purpose: str, parts: tuple[str | int | bytes, ...]) -> bytes:
    """Parts with their lengths before them, so that where one ends is part of the text."""
    octets = [part if isinstance(part, bytes) else str(part).encode() for part in (purpose, *parts)]
    return b"".join(len(each).to_bytes(4, "big") + each for each in octets)


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"mailgate/" + purpose, "sha256")


def _mark(key: bytes) -> bytes:
    return hashlib.sha256(b"mark" + key).digest()[:_MARK_OCTETS]
