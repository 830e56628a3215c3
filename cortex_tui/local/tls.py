"""TLS as a broker's configuration asks for it, from PEM text in memory."""

import secrets
import ssl
import tempfile

from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr

from cortex_tui.models import ConnectionTest


def context(broker: ConnectionTest, *, verify: bool | None = None) -> ssl.SSLContext:
    """What to connect to `broker` with; `verify` overrides its `verify_cert`.

    A `ca_cert` replaces the authorities this machine trusts. It need not be a root: whoever gives
    the broker's own certificate trusts exactly that one. Raises `ValueError` with the field's name
    for PEM text that cannot be used.
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
        try:
            made.load_verify_locations(cadata=broker.ca_cert)
        except (ssl.SSLError, ValueError):
            raise ValueError(
                "ca_cert is no certificate in PEM form: it starts with -----BEGIN CERTIFICATE-----"
            ) from None
    if broker.client_cert is not None:
        _load_identity(made, broker.client_cert, broker.client_key)
    return made


def server_name(broker: ConnectionTest) -> str:
    """The name the broker's certificate has to be for."""
    return broker.host.split("%")[0].removesuffix(".")


def _load_identity(made: ssl.SSLContext, certificate: str, secret: SecretStr | None) -> None:
    """Python's ssl loads a client certificate from a file only, so the key goes there encrypted,
    under a password that never leaves memory."""
    if secret is None:
        raise ValueError("client_cert is set without its key: give client_key too")
    try:
        key = serialization.load_pem_private_key(secret.get_secret_value().encode(), password=None)
    except (TypeError, ValueError):
        raise ValueError("client_key is no private key in PEM form, without a password") from None
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
        except ssl.SSLError:
            raise ValueError("client_cert and client_key do not belong together") from None
