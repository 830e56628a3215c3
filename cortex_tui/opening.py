"""From what was asked for to an open backend: the one place that knows which kinds there are."""

import asyncio
import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_tui.backend import Backend
from cortex_tui.settings import (
    LOCAL,
    Context,
    Remembered,
    Settings,
    SettingsError,
    Target,
    config_file,
    database,
    environment_key,
    environment_token,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cortex_tui.local.backend import LocalBackend
    from cortex_tui.states import StoredProduct


def choose(
    settings: Settings,
    *,
    db: Path | None = None,
    url: str | None = None,
    context: str | None = None,
) -> Target:
    """The target by flag, then environment (`CORTEX_DB`, `CORTEX_URL`, `CORTEX_CONTEXT`), then
    `default_context`. Raises `SettingsError` where two are given at once."""
    flags: dict[str, object] = {"--db": db, "--url": url, "--context": context}
    environment: dict[str, object] = {
        name: os.environ.get(name) or None for name in ("CORTEX_DB", "CORTEX_URL", "CORTEX_CONTEXT")
    }
    for given in (flags, environment):
        if name := _only_one(given):
            return _target(settings, name, given[name])
    return _target(settings, f"{config_file()}: default_context", settings.default_context)


async def open_backend(target: Target, settings: Settings, remembered: Remembered) -> Backend:
    """Open `target`; product ids that a person keeps for it are in `remembered`.

    Raises `BackendError`.
    """
    context, kept = target.context, f"product_ids {target.name}"
    if context.url is None:
        return await open_local(context, settings)
    room = await asyncio.to_thread(importlib.import_module, "cortex_tui.remote")
    backend: Backend = await room.RemoteBackend.open(
        context.url,
        token=context.read_token() or environment_token(),
        verify=context.verify,
        ca_file=context.ca_file,
        product_ids=_ids(remembered.get(kept)),
        on_product_ids=lambda ids: remembered.set(kept, ids),
    )
    return backend


async def read_stored(target: Target) -> "Mapping[int, StoredProduct]":
    """The products of `target` as far as they are known before it is open: nothing where it is not
    of this machine."""
    if target.context.url is not None:
        return {}
    try:
        path = database(target.context)
    except SettingsError:
        return {}  # it is told when it is opened
    room = await asyncio.to_thread(importlib.import_module, "cortex_tui.local.stored")
    stored: dict[int, StoredProduct] = await asyncio.to_thread(room.stored_products, path)
    return stored


async def open_local(context: Context, settings: Settings) -> "LocalBackend":
    """The embedded orchestrator. Its libraries are imported in a thread, so that a screen can be
    up before. Raises `BackendError`."""
    room = await asyncio.to_thread(importlib.import_module, "cortex_tui.local.backend")
    backend: LocalBackend = await room.LocalBackend.open(
        database(context),
        key=environment_key(),
        durability=settings.durability,
        delivery=settings.delivery_beside(config_file()),
    )
    return backend


def _ids(remembered: object) -> tuple[int, ...]:
    """Those that are ids, whatever the file has."""
    kept = remembered if isinstance(remembered, list) else []
    return tuple(each for each in kept if type(each) is int)


def _only_one(given: dict[str, object]) -> str | None:
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise SettingsError(
            f"{' and '.join(names)} are both given: they name different orchestrators",
            "Give one of them.",
        )
    return names[0] if names else None


def _target(settings: Settings, how: str, value: object) -> Target:
    text = str(value)
    match how:
        case "--db" | "CORTEX_DB":
            return Target(LOCAL, Context(db=Path(text)))
        case "--url" | "CORTEX_URL":
            try:
                return Target(text, Context(url=text))
            except ValueError as error:
                raise SettingsError(f"{how}{str(error).removeprefix('url')}") from None
        case _:
            return Target(text, settings.context(text, how))
