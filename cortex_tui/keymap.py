"""The keys a person gives to commands, checked, as Textual is told them."""

import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from textual.keys import KEY_NAME_REPLACEMENTS, Keys

from cortex_tui.commands import COMMANDS, TOGETHER, Command
from cortex_tui.settings import SettingsError

MODIFIERS = ("ctrl+", "alt+", "shift+", "super+")
AS_ANOTHER = {
    "ctrl+i": "tab",
    "ctrl+m": "enter",
    "ctrl+j": "enter",
    "ctrl+h": "backspace",
    "ctrl+[": "escape",
    "ctrl+left_square_bracket": "escape",
}
"""Keys that a terminal sends as another one."""
FOR_FIELDS = ("tab", "shift+tab")

_NAMED = {key.value for key in Keys} | set(KEY_NAME_REPLACEMENTS.values())


def keymap(wanted: Mapping[str, str]) -> dict[str, str]:
    """Keys by the id of a command: those that are `wanted`, and the present ones of every command
    that shares a key with them, old or new; else Textual would take theirs away.

    Raises `SettingsError` for a command or a key that there is not, and for a key that would mean
    two things.
    """
    keys = {command.id: _split(command.keys) for command in COMMANDS.values()}
    touched: set[str] = set()
    for command_id, text in wanted.items():
        if command_id not in COMMANDS:
            close = get_close_matches(command_id, COMMANDS, 1)
            hint = f"Did you mean {close[0]}?" if close else "docs/keys.md has every command."
            raise SettingsError(f"keys: there is no command {command_id!r}", hint)
        touched.update(keys[command_id])
        keys[command_id] = [_checked(command_id, key) for key in _split(text)]
        touched.update(keys[command_id])
        if not keys[command_id]:
            raise SettingsError(
                f"keys.{command_id} is empty", "Give it a key, or leave the line out."
            )
    for scopes in TOGETHER:
        _no_clash([c for c in COMMANDS.values() if c.scope in scopes], keys, wanted)
    return {
        command_id: ",".join(_named(key) for key in its)
        for command_id, its in keys.items()
        if touched.intersection(its)
    }


def _split(keys: str) -> list[str]:
    return [key.strip() for key in keys.split(",") if key.strip()]


def _checked(command_id: str, key: str) -> str:
    if key in AS_ANOTHER:
        raise SettingsError(
            f"keys.{command_id}: terminals send {key} as {AS_ANOTHER[key]}", "Choose another key."
        )
    if key in FOR_FIELDS:
        raise SettingsError(
            f"keys.{command_id}: {key} goes from field to field", "Choose another key."
        )
    if not _exists(key):
        raise SettingsError(
            f"keys.{command_id}: there is no key {key!r}",
            "Keys are written as in x, X, f5, ctrl+x, alt+x, space, escape or slash.",
        )
    return key


def _exists(key: str) -> bool:
    for modifier in MODIFIERS:
        key = key.removeprefix(modifier)
    if len(key) == 1:
        return key.isprintable()
    if key in _NAMED and not key.startswith("<"):
        return True
    try:
        unicodedata.lookup(key.replace("_", " "))
    except KeyError:
        return False
    return True


def _named(key: str) -> str:
    if len(key) > 1 or key.isalnum():
        return key
    name = unicodedata.name(key).lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name)


def _no_clash(
    commands: Iterable[Command], keys: Mapping[str, list[str]], wanted: Mapping[str, str]
) -> None:
    owner: dict[str, str] = {}
    for command in commands:
        for key in map(_named, keys[command.id]):
            other = owner.setdefault(key, command.id)
            if other != command.id and (command.id in wanted or other in wanted):
                raise SettingsError(
                    f"keys: {key} would mean both {other} and {command.id}",
                    "Give one of them another key.",
                )
