"""Secrets at rest: encrypted with a key that lives beside the database, or in `CORTEX_KEY`.

This protects a copied database and its backups as long as the key is not copied with them. It does
not protect against whoever can read the files of the same user.
"""

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr

from cortex_tui.backend import BackendError


class VaultError(BackendError):
    """The key is missing, malformed, or not the one the secret was encrypted with."""


class Vault:
    """Encrypts and decrypts with one Fernet key."""

    def __init__(self, key: bytes | str, source: str) -> None:
        """`source` says in an error where the key came from. Raises `VaultError`."""
        self._source = source
        try:
            self._fernet = Fernet(key)
        except ValueError:
            raise VaultError(
                f"{source} holds no usable key",
                "A key is 32 bytes in URL-safe base64: restore the one this database began with.",
            ) from None

    @classmethod
    def open(cls, key_file: Path, key: SecretStr | None = None) -> "Vault":
        """The vault with `key`, or with the key in `key_file`, made where it is missing. Raises
        `VaultError`."""
        if key is not None:
            return cls(key.get_secret_value(), "CORTEX_KEY")
        try:
            return cls(_key_in(key_file), str(key_file))
        except OSError as error:
            raise VaultError(
                f"{key_file} cannot be used for the key of stored secrets: {error.strerror}",
                "Check the path and its permissions.",
            ) from None

    def encrypt(self, secret: SecretStr) -> bytes:
        return self._fernet.encrypt(secret.get_secret_value().encode())

    def decrypt(self, token: bytes) -> SecretStr:
        """Raises `VaultError` where the key is not the one that encrypted."""
        try:
            return SecretStr(self._fernet.decrypt(token).decode())
        except InvalidToken:
            raise VaultError(
                f"a stored secret cannot be read with the key in {self._source}",
                "Restore the key this database was made with, or save the secret again.",
            ) from None


def _key_in(key_file: Path) -> bytes:
    try:
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return key_file.read_bytes().strip()
    with os.fdopen(descriptor, "wb") as file:
        file.write(new_key := Fernet.generate_key())
    return new_key
