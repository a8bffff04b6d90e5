"""Inbound: one mail as it came in by SMTP, and what makes it the same mail again.

A peer that did not hear our 250 sends its mail once more, and some relays do so even when they heard it. The same
envelope with the same Message-ID, or without one the same body, is the same mail; a journey that saw it within ten
minutes answers it once. What is compared is material for a keyed digest, never stored as it is: it holds addresses.
"""

from dataclasses import dataclass, field

from mailgate.core.addresses import NULL_PATH, Address, NullPath
from mailgate.core.headers import Headers
from mailgate.core.instants import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One accepted SMTP transaction."""

    sender: Address | NullPath
    recipients: tuple[Address, ...]
    peer: str
    received_at: Instant
    content: bytes = field(repr=False)


def digest_material(mail: Inbound, headers: Headers) -> bytes:
    """The bytes that two deliveries of one mail have in common, framed so that no two different mails share them."""
    sender = "" if mail.sender is NULL_PATH else mail.sender.key
    recipients = sorted({recipient.key for recipient in mail.recipients})
    message_id = headers.first("message-id")
    envelope = [key.encode("ascii") for key in (sender, *recipients)]
    if message_id:
        return _framed([*envelope, b"message-id", message_id.encode("latin-1")])
    return _framed([*envelope, b"body", mail.content[headers.body_at :]])


def _framed(parts: list[bytes]) -> bytes:
    return b"".join(b"%d:%b," % (len(part), part) for part in parts)
