"""Contexts and preferences: flag, then environment, then `config.toml`, then the default.

`config.toml` belongs to the person and is only read. What the program remembers by itself lies in
`remembered.json` beside the database.
"""

import json
import os
import tempfile
import tomllib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from platformdirs import PlatformDirs
from pydantic import Field, SecretStr, ValidationError, model_validator

from cortex_tui.backend import BackendError, field_problems
from cortex_tui.delivery_settings import DeliverySettings, Section

LOCAL = "local"
"""The context of the embedded orchestrator."""
PREFERENCES = frozenset({"theme", "mouse", "keys"})
"""The keys of `config.toml` that only the screens use."""
Colour = Literal["red", "orange", "yellow", "green", "cyan", "blue", "magenta", "white"]


class SettingsError(BackendError):
    """The configuration file, or what was asked for on the command line, cannot be used."""


class Context(Section):
    """An orchestrator to work with: a database of this machine, or a URL."""

    db: Path | None = None
    url: str | None = None
    token: SecretStr | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    verify: bool = True
    """Whether the orchestrator's own TLS certificate is verified."""
    read_only: bool = False
    colour: Colour | None = None
    """Marks the context on screen; its name is always there too."""

    @model_validator(mode="after")
    def _one_place(self) -> "Context":
        if self.db is not None and self.url is not None:
            raise ValueError("db and url are both set: a context has one of them")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError("url has no scheme: start it with http:// or https://")
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file are both set: give one of them")
        return self

    def read_token(self) -> SecretStr | None:
        """The token, from its file where it has one. Raises `SettingsError`."""
        return self.token if self.token_file is None else read_secret(self.token_file, "token_file")


@dataclass(frozen=True)
class Target:
    """An orchestrator to open, and the name a person knows it by."""

    name: str
    context: Context


class Settings(Section):
    """Everything in `config.toml`."""

    theme: str | None = None
    mouse: bool = True
    """Off leaves the mouse to the terminal, for its own marking and copying."""
    keys: dict[str, str] = Field(default_factory=dict)
    """Other keys for commands, by their ids; see `keymap`."""
    default_context: str = LOCAL
    durability: Literal["full", "normal"] = "full"
    """`normal` is faster; a power cut may then undo the last events."""
    test_seconds: Annotated[float, Field(ge=1, le=60)] = 10
    """How long a connection test may take."""
    delivery: DeliverySettings = DeliverySettings()
    """Where the actions of the embedded orchestrator go."""
    contexts: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")], Context] = Field(
        default_factory=dict
    )

    def delivery_beside(self, config: Path) -> DeliverySettings:
        """Where actions go, with the folder of the e-mail templates: beside `config` unless the
        settings name another."""
        folder = (self.delivery.templates or config.with_name("templates")).expanduser()
        return self.delivery.model_copy(update={"templates": folder})

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


def _dirs() -> PlatformDirs:
    return PlatformDirs("cortex", appauthor=False)


def config_file() -> Path:
    """Where `config.toml` is looked for: `CORTEX_CONFIG`, or the XDG configuration folder."""
    if named := os.environ.get("CORTEX_CONFIG"):
        return Path(named)
    return Path(_dirs().user_config_dir) / "config.toml"


def database(context: Context) -> Path:
    """Where the database of `context` is, whether it is there or not. Raises `SettingsError`."""
    named = default_db() if context.db is None else context.db
    try:
        path = named.expanduser()
        folder = path.is_dir()
        path.exists()  # a name too long for the file system is told of here
    except (OSError, RuntimeError, ValueError) as error:
        what = f"{str(named)[:200]} cannot be used as a database: {_reason(error)}"
        raise SettingsError(what, "Check the path.") from None
    if folder:
        raise SettingsError(f"{named} cannot be used as a database: it is a folder", "Name a file.")
    return path


def default_db() -> Path:
    """The database of the embedded orchestrator, in the XDG data folder."""
    return Path(_dirs().user_data_dir) / "cortex.db"


def log_file() -> Path:
    """Where the application logs, in the XDG state folder."""
    return Path(_dirs().user_state_dir) / "cortex.log"


def load(path: Path, *, without: Collection[str] = ()) -> Settings:
    """The settings in `path`, as if those keys `without` were not there; the defaults where there
    is no such file. Raises `SettingsError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {_reason(error)}", "Check the file.") from None
    try:
        values = tomllib.loads(text)
        return Settings.model_validate({k: v for k, v in values.items() if k not in without})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", "Mend that line.") from None
    except ValidationError as error:
        problem = field_problems(error)[0]
        where = ".".join(str(part) for part in problem.loc if part != "[key]")
        what = _WORDS.get(problem.kind) or problem.message.replace("Input should", "it has to")
        close = get_close_matches(str(problem.loc[-1]), _known_beside(problem.loc), 1)
        if problem.kind == "extra_forbidden" and close:
            hint = f"Did you mean {close[0]}?"
        else:
            hint = "See docs/configuration.md for every key."
        raise SettingsError(f"{path}: {where}: {what}", hint) from None


_WORDS = {
    "extra_forbidden": "unknown key",
    "missing": "it is missing",
    "string_type": "it has to be text, in quotes",
    "path_type": "it has to be a path, in quotes",
    "bool_type": "it has to be true or false",
    "bool_parsing": "it has to be true or false",
    "int_parsing": "it has to be a whole number",
    "int_from_float": "it has to be a whole number",
    "int_type": "it has to be a whole number",
    "float_parsing": "it has to be a number",
    "float_type": "it has to be a number",
    "dict_type": "it has to be a table",
    "model_type": "it has to be a table",
    "tuple_type": "it has to be a list, in brackets",
    "string_pattern_mismatch": "a name is 1 to 40 letters, digits, dots, '-' or '_'",
}
"""By pydantic's kind of error, where its own words are not those of TOML."""


def _known_beside(loc: tuple[str | int, ...]) -> list[str]:
    """The keys that there are in the table where `loc` is."""
    table: type[Section] = Settings
    for part in loc[:-1]:
        if field := table.model_fields.get(str(part)):
            kinds = (field.annotation, *get_args(field.annotation))
            table = next(
                (k for k in kinds if isinstance(k, type) and issubclass(k, Section)), table
            )
    return list(table.model_fields)


def read_secret(path: Path, noun: str) -> SecretStr:
    """A secret in a file of its own, without the line end. Raises `SettingsError`."""
    try:
        secret = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(
            f"{noun} {path} cannot be read: {_reason(error)}", "Check the path."
        ) from None
    if not secret:
        raise SettingsError(f"{noun} {path} is empty", "Write the secret into it, on one line.")
    return SecretStr(secret)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror}"
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8"
    return "there is no such place"  # no such user's home, or a NUL character


def environment_token() -> SecretStr | None:
    """The token in `CORTEX_TOKEN`."""
    return SecretStr(token) if (token := os.environ.get("CORTEX_TOKEN")) else None


class Remembered:
    """What the program remembers between runs: small, and never worth an error to lose."""

    def __init__(self, path: Path | None) -> None:
        """What is remembered in `path`; with none, until the program ends."""
        self._path = path
        values: object = {}
        if path is not None:
            with suppress(OSError, ValueError):
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
