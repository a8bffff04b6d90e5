"""DKIM: our signature on a mail (RFC 6376), a function of the mail's octets and a key.

- rsa-sha256, relaxed/relaxed: what relays do to blanks and folds on the way does no harm.
- From, To, Subject and Date are named once more than they occur, so a second one put in front of ours breaks the signature instead of
  being what people read (section 8.15). The other lines that a reader's program acts on are signed where a mail has them; RFC 8058
  section 4 wants both lines of the one-click stop among them, and Gmail believes a Feedback-ID only in a mail signed after it was added.
- No `l=`, which lets anybody write on below a signed body (section 8.2). No `t=` and no `x=`: a mail tried again has the same octets as the
  first time, signature and all (MR-37).
- The mail is as the writer makes it: headers, an empty line, a body, and every line ended by CRLF. After this nothing but SMTP's own
  dot-stuffing may touch an octet.
- Hostile octets come through here inside of mails that are handed on to the operator: each step is linear in them.

Most of the time goes into RSA, during which `cryptography` lets other threads run: journeys/signing.py keeps two of them busy.
"""

import re
from binascii import b2a_base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mailgate.core.lines import Lines

# Each is signed as often as it occurs, and once more.
_OVERSIGNED: Final = frozenset({b"from", b"to", b"subject", b"date"})
_SIGNED: Final = (
    b"from", b"to", b"subject", b"date",
    b"message-id", b"reply-to",
    b"mime-version", b"content-type", b"content-transfer-encoding",
    b"auto-submitted", b"list-id", b"list-unsubscribe", b"list-unsubscribe-post", b"feedback-id",
)  # fmt: skip

_LINE: Final = 78
_BLANKS: Final = re.compile(rb"[ \t]+")
_PADDING: Final = padding.PKCS1v15()
_HASH: Final = hashes.SHA256()

BITS: Final = 2048
_FEWEST, _MOST = 2048, 4096  # RFC 8301 section 3.2: what to sign with at least, and what everybody can verify
_STRING: Final = 255  # RFC 1035 section 3.3: a character-string of a TXT record


class BadKey(ValueError):
    """That is no key to sign with; the text says why, and nothing of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key, and the name under which its public half is found in the DNS."""

    private: rsa.RSAPrivateKey = field(repr=False)
    domain: str
    selector: str


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A TXT record."""

    name: str
    value: str

    @property
    def strings(self) -> tuple[str, ...]:
        """The value in pieces as the DNS carries them; whoever looks it up joins them without a blank (section 3.6.2.2)."""
        return tuple(self.value[at : at + _STRING] for at in range(0, len(self.value), _STRING))


def new_private_key() -> bytes:
    """A fresh key in PEM."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=BITS)
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_private_key(pem: bytes) -> rsa.RSAPrivateKey:
    """The key that a PEM file holds.

    Raises:
        BadKey: it holds none, or not one that receivers accept.
    """
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        raise BadKey("it is locked with a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadKey("it is no private key in PEM") from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise BadKey("it is no RSA key")
    if not _FEWEST <= private.key_size <= _MOST:
        raise BadKey(f"it has {private.key_size} bits and not {_FEWEST} to {_MOST}")
    return private


def dns_record(key: SigningKey) -> DnsRecord:
    """What has to be in the DNS before a mail signed with this key goes out (section 3.6.1)."""
    public = key.private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return DnsRecord(f"{key.selector}._domainkey.{key.domain}", f"v=DKIM1; k=rsa; p={_base64(public).decode('ascii')}")


def sign(mail: Lines, key: SigningKey) -> Lines:
    """The mail with our signature in front."""
    head, _, body = mail.partition(b"\r\n\r\n")
    found = relaxed_fields(head)
    names: list[bytes] = []
    signed: list[bytes] = []
    for name in _SIGNED:
        for value in reversed(found.get(name, ())):  # the last of several comes first (section 5.4.2)
            names.append(name)
            signed.append(name + b":" + value + b"\r\n")
        if name in _OVERSIGNED:
            names.append(name)
    own = b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=%b; s=%b;\r\n %b;\r\n bh=%b;\r\n b=" % (
        key.domain.encode("ascii"),
        key.selector.encode("ascii"),
        _named(tuple(names)),
        _base64(sha256(relaxed_body(body)).digest()),
    )
    # What is signed ends with our own line, its value still empty and without a line end (section 3.7). It is relaxed by construction.
    signed.append(b"dkim-signature:" + own.partition(b": ")[2].replace(b"\r\n", b""))
    signature = _base64(key.private.sign(b"".join(signed), _PADDING, _HASH))
    return Lines(b"".join((own, *_folded(signature, used=3), b"\r\n", mail)))


def relaxed_fields(head: bytes) -> dict[bytes, list[bytes]]:
    """Header values by name, in their order, each in relaxed form (section 3.4.2)."""
    unfolded = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t")
    if b"  " in unfolded or b"\t" in unfolded:  # hardly ever, and looking is ten times as fast
        unfolded = _BLANKS.sub(b" ", unfolded)
    found: dict[bytes, list[bytes]] = {}
    for line in unfolded.split(b"\r\n"):
        name, _, value = line.partition(b":")
        found.setdefault(name.rstrip(b" ").lower(), []).append(value.strip(b" "))
    return found


def relaxed_body(body: bytes) -> bytes:
    """A body in relaxed form (section 3.4.4)."""
    if b" " in body or b"\t" in body:  # base64 has neither
        body = _BLANKS.sub(b" ", body).replace(b" \r\n", b"\r\n").removesuffix(b" ")
    end = len(body)
    while body.endswith(b"\r\n", 0, end):
        end -= 2
    return body[:end] + b"\r\n" if end else b""


@lru_cache(maxsize=64)  # copies of a broadcast have the same headers
def _named(names: Sequence[bytes]) -> bytes:
    """The list of what is signed, folded after colons."""
    lines = [b"h="]
    for at, name in enumerate(names):
        item = name if at == len(names) - 1 else name + b":"
        if len(lines[-1]) + len(item) + 2 > _LINE:
            lines.append(b"")
        lines[-1] += item
    return b"\r\n ".join(lines)


def _folded(value: bytes, *, used: int) -> Iterator[bytes]:
    """A value in lines; so many characters of the first are used."""
    end = _LINE - used
    yield value[:end]
    for at in range(end, len(value), _LINE - 1):
        yield b"\r\n " + value[at : at + _LINE - 1]


def _base64(octets: bytes) -> bytes:
    return b2a_base64(octets, newline=False)
