"""Contexts and preferences: flag, then environment, then `config.toml`, then the default.

`config.toml` belongs to the person and is only read. What the program remembers by itself lies in
`remembered.json` beside the database.
"""

import json
import os
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from platformdirs import PlatformDirs

from cortex_tui import syntax
from cortex_tui.backend import BackendError
from cortex_tui.files import reason

if TYPE_CHECKING:
    from pydantic import SecretStr

    from cortex_tui.delivery_settings import DeliverySettings

CONFIG = "CORTEX_CONFIG"
"""The environment variable that names another `config.toml`, which then has to be there."""
LOCAL = "local"
"""The context of the embedded orchestrator."""
PREFERENCES = frozenset({"theme", "mouse", "keys"})
"""The keys of `config.toml` that only the screens use."""
Colour = Literal["red", "orange", "yellow", "green", "cyan", "blue", "magenta", "white"]
CHECKED = {"extra": "forbid", "hide_input_in_errors": True}
"""How pydantic checks these classes where they are read from a file. They are plain, so that a
start without a file need not wait for pydantic."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")


class SettingsError(BackendError):
    """The configuration file, or what was asked for on the command line, cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """An orchestrator to work with: a database of this machine, or a URL. Raises `ValueError`."""

    __pydantic_config__: ClassVar = CHECKED

    db: Path | None = None
    url: str | None = None
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    ca_file: Path | None = None
    verify: bool = True
    """Whether the orchestrator's own TLS certificate is verified."""
    read_only: bool = False
    colour: Colour | None = None
    """Marks the context on screen; its name is always there too."""

    def __post_init__(self) -> None:
        if self.db is not None and self.url is not None:
            raise ValueError("db and url are both set: a context has one of them")
        if self.url is not None:
            syntax.orchestrator_url(self.url)
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file are both set: give one of them")
        if self.url is None and (self.token is not None or self.token_file is not None):
            raise ValueError("a token is set without url: say whose it is")

    def read_token(self) -> "SecretStr | None":
        """The token, from its file where it has one. Raises `SettingsError`."""
        if self.token_file is not None:
            return read_secret(self.token_file, "token_file")
        return _secret(self.token)


@dataclass(frozen=True)
class Target:
    """An orchestrator to open, and the name a person knows it by."""

    name: str
    context: Context


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything in `config.toml`. Raises `ValueError`."""

    __pydantic_config__: ClassVar = CHECKED

    theme: str | None = None
    mouse: bool = True
    """Off leaves the mouse to the terminal, for its own marking and copying."""
    keys: dict[str, str] = field(default_factory=dict)
    """Other keys for commands, by their ids; see `keymap`."""
    default_context: str = LOCAL
    durability: Literal["full", "normal"] = "full"
    """`normal` is faster; a power cut may then undo the last events."""
    test_seconds: float = 10
    """How long a connection test may take."""
    delivery: dict[str, Any] = field(default_factory=dict, repr=False)
    """Where the actions of the embedded orchestrator go: `DeliverySettings`, as it is written."""
    contexts: dict[str, Context] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 1 <= self.test_seconds <= 60:
            raise ValueError("test_seconds: it has to be from 1 to 60")
        for name in self.contexts:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"contexts.{name}: a name is 1 to 40 letters, digits, dots, '-' or '_'"
                )

    def delivery_beside(self, config: Path) -> "DeliverySettings":
        """Where actions go, with the folder of the e-mail templates: beside `config` unless the
        settings name another. Raises `pydantic.ValidationError`, `SettingsError`."""
        from cortex_tui.delivery_settings import DeliverySettings

        delivery = DeliverySettings.model_validate(self.delivery)
        named = delivery.templates or config.with_name("templates")
        try:
            folder = named.expanduser()
        except RuntimeError as error:
            what = f"{config}: delivery.templates: {named} cannot be used: {reason(error)}"
            raise SettingsError(what, "Check the path.") from None
        return delivery.model_copy(update={"templates": folder})

    @property
    def targets(self) -> list[Target]:
        """Every context, the embedded orchestrator of this machine among them."""
        contexts = {LOCAL: Context(), **self.contexts}
        return [Target(name, context) for name, context in contexts.items()]

    def context(self, name: str, noun: str) -> Context:
        """Raises `SettingsError`, which calls the name `noun`, where there is none of that name."""
        if name in self.contexts:
            return self.contexts[name]
        if name == LOCAL:
            return Context()
        known = ", ".join([LOCAL, *self.contexts])
        raise SettingsError(f"{noun}: there is no context {name!r}", f"The known ones: {known}.")


def _folder(kind: Literal["config", "data", "state"]) -> Path:
    """Where files of that kind lie. Raises `SettingsError` where there is no home for them."""
    try:
        return Path(getattr(PlatformDirs("cortex", appauthor=False), f"user_{kind}_dir"))
    except RuntimeError:
        raise SettingsError(
            "there is no home folder", "Set HOME to the absolute path of one."
        ) from None


def config_file() -> Path:
    """Where `config.toml` is looked for: `CORTEX_CONFIG`, or the XDG configuration folder."""
    if named := os.environ.get(CONFIG):
        return Path(named)
    return _folder("config") / "config.toml"


def database(context: Context) -> Path:
    """Where the database of `context` is, whether it is there or not. Raises `SettingsError`."""
    named = default_db() if context.db is None else context.db
    try:
        path = named.expanduser()
        folder = path.is_dir()
        path.exists()  # a name too long for the file system is told of here
    except (OSError, RuntimeError, ValueError) as error:
        what = f"{str(named)[:200]} cannot be used as a database: {reason(error)}"
        raise SettingsError(what, "Check the path.") from None
    if folder:
        raise SettingsError(f"{named} cannot be used as a database: it is a folder", "Name a file.")
    return path


def default_db() -> Path:
    """The database of the embedded orchestrator, in the XDG data folder."""
    return _folder("data") / "cortex.db"


def log_file() -> Path:
    """Where the application logs, in the XDG state folder."""
    return _folder("state") / "cortex.log"


def read_secret(path: Path, noun: str) -> "SecretStr":
    """A secret in a file of its own, without the line end. Raises `SettingsError`."""
    try:
        secret = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(
            f"{noun} {path} cannot be read: {reason(error)}", "Check the path."
        ) from None
    if not secret:
        raise SettingsError(f"{noun} {path} is empty", "Write the secret into it, on one line.")
    from pydantic import SecretStr

    return SecretStr(secret)


def environment_token() -> "SecretStr | None":
    """The token in `CORTEX_TOKEN`."""
    return _secret(os.environ.get("CORTEX_TOKEN") or None)


def environment_key() -> "SecretStr | None":
    """The key of stored secrets in `CORTEX_KEY`."""
    return _secret(os.environ.get("CORTEX_KEY") or None)


def _secret(text: str | None) -> "SecretStr | None":
    from pydantic import SecretStr

    return None if text is None else SecretStr(text)


class Remembered:
    """What the program remembers between runs: small, and never worth an error to lose."""

    def __init__(self, path: Path | None) -> None:
        """What is remembered in `path`; with none, until the program ends."""
        self._path = path
        values: object = {}
        if path is not None:
            with suppress(OSError, ValueError, RecursionError):
                values = json.loads(path.read_text(encoding="utf-8"))
        self._values: dict[str, Any] = values if isinstance(values, dict) else {}

    @classmethod
    def default(cls) -> "Remembered":
        return cls(default_db().with_name("remembered.json"))

    def get(self, name: str, default: Any = None) -> Any:
        return self._values.get(name, default)

    def set(self, name: str, value: Any) -> None:
        """Keep `value`, which is plain JSON; written at once, whole or not at all."""
        self._values[name] = value
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile(
                "w", dir=self._path.parent, prefix=".remembered", delete=False, encoding="utf-8"
            ) as file:
                json.dump(self._values, file, indent=1)
            Path(file.name).replace(self._path)
        except OSError:
            return
