"""Certificates for tests, made on the spot: an authority, what it issues, and self-signed ones.

Validity is given in days from now, so `days=(-30, -1)` is expired and `days=(1, 30)` not valid yet.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
VALID = (-1.0, 90.0)


@dataclass(frozen=True)
class Identity:
    """PEM files: a certificate and its private key."""

    cert: Path
    key: Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in lower-case hexadecimal."""
        loaded = x509.load_pem_x509_certificate(self.cert.read_bytes())
        return loaded.fingerprint(hashes.SHA256()).hex()


class Authority:
    """A certificate authority; `cert` is what a client has to trust."""

    def __init__(
        self,
        folder: Path,
        name: str = "Cortex Test Authority",
        *,
        days: tuple[float, float] = VALID,
    ) -> None:
        self._folder = folder / name.lower().replace(" ", "-")
        self._folder.mkdir(parents=True)
        self._name = _subject(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = _sign(
            _builder(self._name, self._key, self._name, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True),
            self._key,
            self._key,
        )
        self.cert = _store(self._folder, "ca", certificate, self._key).cert
        self.fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
        """SHA-256, as it is shown to a person."""

    def server(
        self, name: str, *, names: tuple[str, ...] = LOCAL_NAMES, days: tuple[float, float] = VALID
    ) -> Identity:
        """A server certificate for `names`: DNS names and IP addresses."""
        builder = _builder(_subject(name), key := _new_key(), self._name, days)
        return self._issue(name, _for_server(builder, names), key)

    def client(self, name: str, *, days: tuple[float, float] = VALID) -> Identity:
        """A client certificate whose common name is `name`."""
        builder = _builder(_subject(name), key := _new_key(), self._name, days)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._issue(name, _end_entity(builder, usage), key)

    def _issue(
        self, name: str, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey
    ) -> Identity:
        return _store(self._folder, name, _sign(builder, key, self._key), key)


def self_signed(
    folder: Path,
    name: str = "self-signed",
    *,
    names: tuple[str, ...] = LOCAL_NAMES,
    days: tuple[float, float] = VALID,
) -> Identity:
    """A server certificate that nobody but itself vouches for."""
    key = _new_key()
    builder = _for_server(_builder(_subject(name), key, _subject(name), days), names)
    return _store(folder, name, _sign(builder, key, key), key)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    days: tuple[float, float],
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
    )


def _for_server(
    builder: x509.CertificateBuilder, names: tuple[str, ...]
) -> x509.CertificateBuilder:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
    return _end_entity(builder, usage).add_extension(alternatives, critical=False)


def _end_entity(
    builder: x509.CertificateBuilder, usage: x509.ExtendedKeyUsage
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(usage, critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _sign(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    # Strict verification, the default since Python 3.13, asks for both key identifiers.
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .add_extension(authority, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _store(
    folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> Identity:
    identity = Identity(folder / f"{name}.crt", folder / f"{name}.key")
    identity.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    identity.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return identity
