"""TLS as a broker's configuration asks for it, from PEM text in memory."""

import secrets
import ssl
import tempfile

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr

from cortex_tui.models import BrokerAccess


class UnusableMaterial(ValueError):
    """PEM text that cannot be used: the message says problem and fix, `field` where it stands."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def context(broker: BrokerAccess, *, verify: bool | None = None) -> ssl.SSLContext:
    """What to connect to `broker` with; `verify` overrides its `verify_cert`.

    A `ca_cert` replaces the authorities this machine trusts. It need not be a root: whoever gives
    the broker's own certificate trusts exactly that one. Raises `UnusableMaterial`.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if not (broker.verify_cert if verify is None else verify):
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    elif broker.ca_cert is None:
        made.load_default_certs()
    else:
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        _trust(made, broker.ca_cert)
    if broker.client_cert is not None:
        _load_identity(made, broker.client_cert, broker.client_key)
    return made


def check(broker: BrokerAccess) -> None:
    """Raise `UnusableMaterial` where the certificates and the key of `broker` cannot be used,
    whether they are needed now or not."""
    trying = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if broker.ca_cert is not None:
        _trust(trying, broker.ca_cert)
    if broker.client_cert is not None:
        _load_identity(trying, broker.client_cert, broker.client_key)


def server_name(broker: BrokerAccess) -> str:
    """The name the broker's certificate has to be for."""
    return broker.host.split("%")[0].removesuffix(".")


def _trust(made: ssl.SSLContext, authorities: str) -> None:
    try:
        made.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError):
        raise UnusableMaterial(
            "ca_cert",
            "ca_cert is no certificate in PEM form: it starts with -----BEGIN CERTIFICATE-----",
        ) from None


def _load_identity(made: ssl.SSLContext, certificate: str, secret: SecretStr | None) -> None:
    """Python's ssl loads a client certificate from a file only, so the key goes there encrypted,
    under a password that never leaves memory."""
    if secret is None:
        raise UnusableMaterial(
            "client_key", "client_cert is set without its key: give client_key too"
        )
    try:
        key = serialization.load_pem_private_key(secret.get_secret_value().encode(), password=None)
    except (TypeError, ValueError):
        raise UnusableMaterial(
            "client_key",
            "client_key is no private key in PEM form: give an unencrypted one, "
            "which starts with -----BEGIN PRIVATE KEY-----",
        ) from None
    except UnsupportedAlgorithm:
        raise UnusableMaterial(
            "client_key",
            "client_key is of a kind that is not supported: give an RSA key, or one on P-256",
        ) from None
    password = secrets.token_hex(32)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate.encode() + b"\n" + encrypted)
        file.flush()
        try:
            made.load_cert_chain(file.name, password=password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise UnusableMaterial(
                    "client_key",
                    "client_cert and client_key do not belong together: "
                    "give the key the certificate was made for",
                ) from None
            raise UnusableMaterial(
                "client_cert",
                "client_cert is no certificate that can be used: "
                "it starts with -----BEGIN CERTIFICATE-----",
            ) from None
