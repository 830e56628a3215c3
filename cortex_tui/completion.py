"""What a shell completes beside commands and options: contexts, themes and products by name.

It asks nobody: products come from the database of this machine, as it stands. What goes wrong is
told by the command that is being typed, not here. Every start imports this room, so what it needs
is imported inside its functions.
"""

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from cortex_tui.settings import Settings

_OBEYED = re.compile(r"[^\w@%+=:,./-]")
_OBEYED_IN_QUOTES = re.compile(r"[\"'$`\\!]")
"""Characters that bash does not take for themselves."""


def contexts(ctx: click.Context, param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """The contexts of `config.toml`, and that of this machine."""
    return _beginning(typed, [target.name for target in _settings().targets])


def themes(ctx: click.Context, param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Every theme."""
    from cortex_tui.themes import known

    return _beginning(typed, known())


def products(ctx: click.Context, param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """The products of the database that is meant; none of an orchestrator elsewhere."""
    import asyncio

    from cortex_tui.opening import choose, read_stored
    from cortex_tui.settings import SettingsError

    given = ctx.find_root().params
    with suppress(SettingsError):
        target = choose(
            _settings(), db=given["db"], url=given["url"], context=given["context_name"]
        )
        stored = asyncio.run(read_stored(target)).values()
        return _beginning(typed, [product.name for product in stored])
    return []


def _settings() -> "Settings":
    from cortex_tui.settings import PREFERENCES, Settings, SettingsError, config_file
    from cortex_tui.settings_file import load

    with suppress(SettingsError):
        return load(config_file(), without=PREFERENCES)
    return Settings()


def _beginning(typed: str, names: list[str]) -> "list[CompletionItem]":
    """Those of `names` that go on from what is typed, in whichever case, and are one line."""
    from click.shell_completion import CompletionItem

    begun = [each for each in names if each.casefold().startswith(typed.casefold())]
    shown = [each for each in begun if each.isprintable()]
    asking = os.environ.get("_CORTEX_COMPLETE", "")
    if asking.startswith("bash"):
        shown = _for_bash(typed, shown)
    elif asking.startswith("fish"):  # the script that Click has for it cuts at a comma
        shown = [name for name in shown if "," not in name]
    return [CompletionItem(each) for each in shown]


def _for_bash(typed: str, names: list[str]) -> list[str]:
    """`names` as bash puts them into the line; other shells quote by themselves."""
    line = os.environ.get("COMP_WORDS", "")
    if line.endswith((f'"{typed}', f"'{typed}")):  # bash closes that quote
        return [name for name in names if not _OBEYED_IN_QUOTES.search(name)]
    quoted = [_OBEYED.sub(r"\\\g<0>", name) for name in names]
    # Doubled: the script that Click has for bash reads half of them away.
    return [name.replace("\\", r"\\") for name in quoted]
