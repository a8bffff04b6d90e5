"""TLS for mail that comes in: offered to everybody, asked of nobody, no certificate asked back."""

import ssl
from pathlib import Path


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What STARTTLS needs. A certificate or key that cannot be read raises OSError or ssl.SSLError, at start and not at the first peer."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.load_cert_chain(certificate, key)
    return context
