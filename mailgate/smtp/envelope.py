"""Envelope: how the arguments of MAIL and RCPT are read.

aiosmtpd would read them with the parser for header fields, which decodes encoded-words: CR, LF and NUL would come out of a path. Here a
path is found by its brackets, read by core.addresses and written back in its one canonical form, so what aiosmtpd keeps in its
envelope can be read again. Whatever is no path is (None, None), which it answers with 553 5.1.3.
"""

import re
from typing import Final

from mailgate.core.addresses import NULL_PATH, Address, BadPath, NullPath, parse_path, parse_recipient, parse_spec

# To the first `>` outside quotes. Possessive, so that no input makes it go back.
_PATH: Final = re.compile(r'<(?:"(?:[^"\\]|\\.)*+"|[^">])*+>')
_SIZE: Final = "SIZE="


def read_sender(argument: str) -> tuple[str | None, str | None]:
    """The path of MAIL FROM and what follows it."""
    path, rest = _split(argument)
    try:
        sender = parse_path(path)
    except BadPath:
        return None, None
    return (NULL_PATH.value if sender is NULL_PATH else sender.spec), rest


def read_recipient(argument: str, *, domain: str) -> tuple[str | None, str | None]:
    """The path of RCPT TO and what follows it; `<postmaster>` alone is the domain's."""
    path, rest = _split(argument)
    try:
        return parse_recipient(path, domain=domain).spec, rest
    except BadPath:
        return None, None


def mailbox(path: str | None) -> Address | NullPath:
    """The mailbox of a path in its canonical form."""
    return parse_spec(path) if path and path != NULL_PATH.value else NULL_PATH


def declared_size(options: list[str]) -> int:
    """The size that the peer declared at MAIL (RFC 1870), 0 if none; aiosmtpd has seen to it that it is a number."""
    return next((int(option.removeprefix(_SIZE)) for option in options if option.startswith(_SIZE)), 0)


def _split(argument: str) -> tuple[str, str]:
    path = _PATH.match(argument)
    if path is None or argument[path.end() : path.end() + 1] not in {"", " "}:
        return "", ""  # no path at all, for the parser to refuse
    return path[0], argument[path.end() :]
