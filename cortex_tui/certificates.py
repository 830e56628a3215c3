"""What is written in a certificate, for a person to read. Pure."""

from contextlib import suppress
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from cortex_tui.diagnosis import Certificate, printable

_BROKEN = (ValueError, x509.DuplicateExtension, x509.InvalidVersion)
"""What the library raises where a certificate is not as it has to be."""
MAX_NAMES = 100
"""Host names of one certificate that are kept; some name thousands."""


def read_pem(text: str, now: datetime) -> tuple[Certificate, ...]:
    """The certificates in PEM text. Raises `ValueError` where there is none, or one is broken."""
    try:
        loaded = x509.load_pem_x509_certificates(text.encode())
    except _BROKEN:
        raise ValueError(
            "no certificate in PEM form: it starts with -----BEGIN CERTIFICATE-----"
        ) from None
    return tuple(_describe(certificate, now) for certificate in loaded)


def read_der(data: bytes, now: datetime) -> Certificate:
    """One certificate as TLS carries it. Raises `ValueError` where it is broken."""
    try:
        loaded = x509.load_der_x509_certificate(data)
    except _BROKEN as error:
        raise ValueError("no certificate") from error
    return _describe(loaded, now)


def _describe(loaded: x509.Certificate, now: datetime) -> Certificate:
    return Certificate(
        subject=_name(loaded.subject),
        issuer=_name(loaded.issuer),
        names=_names(loaded),
        not_before=loaded.not_valid_before_utc,
        not_after=loaded.not_valid_after_utc,
        days_left=(loaded.not_valid_after_utc - now).days,
        fingerprint=loaded.fingerprint(hashes.SHA256()).hex(":").upper(),
        is_authority=_is_authority(loaded),
        pem=loaded.public_bytes(Encoding.PEM).decode(),
    )


def _name(name: x509.Name) -> str:
    return printable(name.rfc4514_string()) or "(no name)"


def _names(loaded: x509.Certificate) -> tuple[str, ...]:
    with suppress(x509.ExtensionNotFound, *_BROKEN):
        names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = names.get_values_for_type(x509.DNSName)
        addresses = map(str, names.get_values_for_type(x509.IPAddress))
        return tuple(printable(name) for name in [*hosts, *addresses][:MAX_NAMES])
    return ()


def _is_authority(loaded: x509.Certificate) -> bool:
    with suppress(x509.ExtensionNotFound, *_BROKEN):
        return loaded.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    return False
