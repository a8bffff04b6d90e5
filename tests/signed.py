"""Mails signed by strangers, with a library that is not ours."""

import base64
from functools import cache

import dkim  # type: ignore[import-untyped]  # it has no types
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SIGNED = (b"from", b"to", b"subject")
BLANK = b"From: taro@example.jp\r\nTo: touroku@gate.example.jp\r\nSubject: hello\r\n\r\n  a  blank  mail \r\n\r\n\r\n"


@cache
def a_key(number: int = 1, bits: int = 1024) -> rsa.RSAPrivateKey:
    """A key, the same for the same number in one run; 1024 bits are quick to make."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def key_record(key: rsa.RSAPrivateKey, *, tags: str = "v=DKIM1; k=rsa;") -> str:
    """What is published of a key."""
    return f"{tags} p={base64.b64encode(public_octets(key)).decode()}"


def public_octets(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def signed(
    mail: bytes = BLANK,
    *,
    domain: str = "example.jp",
    selector: str = "s1",
    key: rsa.RSAPrivateKey | None = None,
    how: str = "relaxed/relaxed",
    names: tuple[bytes, ...] = SIGNED,
    whole: bool = True,
) -> bytes:
    """The mail with a signature on top."""
    pem = (key or a_key()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    head, body = how.encode().split(b"/")
    field: bytes = dkim.sign(
        mail,
        selector.encode(),
        domain.encode(),
        pem,
        canonicalize=(head, body),
        include_headers=list(names),
        length=not whole,
    )
    return field + mail
