"""A certificate for the addresses that a rehearsal answers at. For the server."""

import base64
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sitin.kit.clock import SystemClock

_LIFETIME = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate; its key is never left on the disk."""

    context: ssl.SSLContext
    pem: str
    """The certificate, for clients that are to trust it."""
    spki_hash: str
    """Base64 SHA-256 of its public key, for ``--ignore-certificate-errors-spki-list``."""


def make_certificate(hosts: tuple[str, ...]) -> Certificate:
    """Make a certificate for these names and for this machine's loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sitin rehearsal")])
    now = SystemClock().now()
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in (*hosts, "localhost")]
    names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # The standard library reads chains from files only; this one lives as long as the call.
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem + private)
        file.flush()
        context.load_cert_chain(file.name)
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Certificate(
        context=context,
        pem=pem.decode(),
        spki_hash=base64.b64encode(sha256(public).digest()).decode(),
    )
