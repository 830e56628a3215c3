"""One run of the command: what the options before the command name, and what `config.toml` says."""

import dataclasses
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cortex_tui.settings import (
    CONFIG,
    PREFERENCES,
    Remembered,
    Settings,
    SettingsError,
    Target,
    config_file,
    database,
)

if TYPE_CHECKING:
    from cortex_tui.backend import Backend


class Invocation:
    """Shared by every command. Nothing is read before a command asks for it: `--help` always
    works, and a mistake is only in the way of what it matters to."""

    def __init__(
        self,
        *,
        db: Path | None,
        url: str | None,
        context: str | None,
        read_only: bool,
        theme: str | None,
        mouse: bool,
        screens: bool,
    ) -> None:
        """`screens` says whether the command shows any, and has to know theme and keys."""
        self._asked = {"db": db, "url": url, "context": context}
        self._read_only = read_only
        self._theme = theme
        self._mouse = mouse
        self._screens = screens

    @cached_property
    def settings(self) -> Settings:
        """Raises `SettingsError`; where there are no screens, what only they use is warned of."""
        path = config_file()
        if not _is_there(path):
            if os.environ.get(CONFIG):
                raise SettingsError(
                    f"{CONFIG} names a file that is not there: {path}",
                    f"Check the path, or unset {CONFIG}.",
                )
            return Settings()
        from cortex_tui.settings_file import load

        try:
            return _checked(load(path), path)
        except SettingsError as error:
            if self._screens:
                raise
            usable = load(path, without=PREFERENCES)
            click.echo(f"cortex: {error.text}", err=True)
            return usable

    @cached_property
    def target(self) -> Target:
        """The orchestrator that was asked for. Raises `SettingsError`."""
        from cortex_tui.opening import choose

        return self._restricted(choose(self.settings, **self._asked))  # type: ignore[arg-type]

    @property
    def others(self) -> list[Target]:
        """Every orchestrator that has a name."""
        return [self._restricted(each) for each in self.settings.targets]

    @property
    def theme(self) -> str | None:
        """Raises `SettingsError` where one was asked for that there is not."""
        if self._theme is None:
            return self.settings.theme
        from cortex_tui import themes

        return themes.checked(self._theme, "--theme")

    @property
    def mouse(self) -> bool:
        return self._mouse and self.settings.mouse

    def check_may_change(self, what: str = "this changes something") -> None:
        """Raises `SettingsError` where `what` is refused, with who refuses it."""
        if self._read_only:
            raise SettingsError(f"--read-only is given, and {what}", "Leave it out.")
        if self.target.context.read_only:
            raise SettingsError(
                f"the context {self.target.name} is read-only, and {what}",
                "Choose another with --context.",
            )

    def _restricted(self, target: Target) -> Target:
        if not self._read_only:
            return target
        context = dataclasses.replace(target.context, read_only=True)
        return dataclasses.replace(target, context=context)

    async def open_existing(self) -> "Backend":
        """Open what was asked for, for a command that only looks or switches: a database that is
        named has to be there."""
        db = self.target.context.db
        if db is not None and not database(self.target.context).exists():
            raise SettingsError(
                f"there is no database {db}", f"Check the path; `cortex --db {db}` makes a new one."
            )
        return await self.open()

    async def open(self, target: Target | None = None) -> "Backend":
        """Open `target`, or the one that was asked for."""
        from cortex_tui.opening import open_backend

        return await open_backend(target or self.target, self.settings, Remembered.default())


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError:
        pass  # it is told when the file is read
    return True


def _checked(loaded: Settings, path: Path) -> Settings:
    """The settings of `path`, if the screens can use them too. Raises `SettingsError`."""
    try:
        if loaded.theme is not None:
            from cortex_tui import themes

            themes.checked(loaded.theme, "theme")
        if loaded.keys:
            from cortex_tui.keymap import keymap

            keymap(loaded.keys)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error.message}", error.hint) from None
    return loaded
