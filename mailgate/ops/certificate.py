"""A self-signed certificate for STARTTLS: enough for encryption, since mail servers rarely ask who it is."""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailgate.core.instants import Instant, to_datetime


def self_signed(domain: str, *, now: Instant) -> tuple[bytes, bytes]:
    """Certificate and private key in PEM, good for ten years."""
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name has 64 characters at most (RFC 5280 appendix A.1); what counts is the alternative name.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    start = to_datetime(now)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - timedelta(days=1))
        .not_valid_after(start + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
