"""The commands for scripts and screen readers: plain text or JSON, and stable exit codes."""

import asyncio
import contextlib
import json
import os
import re
import stat
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.cells import cell_len, set_cell_size

from cortex_tui import completion, daemon
from cortex_tui.backend import (
    Backend,
    Capability,
    NotFound,
    ProductIdKeeper,
    Unreachable,
)
from cortex_tui.models import Product, ProductState, Subscription, SubscriptionChange
from cortex_tui.states import ConnectionState, word_of
from cortex_tui.usage import FINE, NOT_FINE, USAGE, NotFine, exit_codes
from cortex_tui.widgets.text import plain
from cortex_tui.wording import worded

SETTLE = 5.0
"""Seconds that connections which are being made are waited for."""
_FINE = {ConnectionState.CONNECTED, ConnectionState.DISABLED, ConnectionState.NOT_CONFIGURED}
"""What is as it should be, by its word."""

_ID = re.compile(r"[0-9]{1,19}")

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON; times in it are UTC."
)
product_argument = click.argument("product", shell_complete=completion.products)


def command(
    group: click.Group, codes: Mapping[int, str]
) -> Callable[[Callable[..., Awaitable[None]]], click.Command]:
    """Make a coroutine function a command of `group`; it gets the open backend first. `codes` are
    what its help says of its exit codes."""

    def register(function: Callable[..., Awaitable[None]]) -> click.Command:
        @click.pass_obj
        def run(invocation: Any, /, **arguments: Any) -> None:
            goes_on = bool(arguments.get("watch") or arguments.get("follow"))

            async def opened() -> None:
                backend = await invocation.open_existing()
                try:
                    with _while_read() if goes_on else contextlib.nullcontext():
                        await function(backend, **arguments)
                finally:
                    await backend.aclose()

            try:
                daemon.run(opened())
            except KeyboardInterrupt:  # an end as good as any to what goes on and on
                if not goes_on:
                    raise

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        return group.command(function.__name__, epilog=exit_codes(codes))(run)

    return register


@contextlib.contextmanager
def _while_read() -> Iterator[None]:
    """Raises `BrokenPipeError` inside once nobody reads the pipe that is printed to, which would
    else be noticed only when there is something to print."""
    output, unread = sys.stdout.fileno(), False
    if not stat.S_ISFIFO(os.fstat(output).st_mode):
        yield
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def leave() -> None:
        nonlocal unread
        unread = True
        loop.remove_reader(output)
        task.cancel()

    loop.add_reader(output, leave)
    try:
        yield
    except asyncio.CancelledError:
        if unread:
            raise BrokenPipeError from None
        raise
    finally:
        loop.remove_reader(output)


def register(group: click.Group) -> None:
    """Add the commands to `group`."""
    for function, codes in (
        (products, {FINE: "listed, whatever the states are"}),
        (
            status,
            {FINE: "all that should be connected are", NOT_FINE: "one is not, or is degraded"},
        ),
        (subscriptions, {FINE: "listed, or switched"}),
        (
            reconnect,
            {
                FINE: "it is connected",
                NOT_FINE: "it is not, or is degraded",
                USAGE: "wrong usage, no such product, or it is disabled or not configured",
            },
        ),
    ):
        command(group, codes)(function)


@json_option
async def products(backend: Backend, as_json: bool) -> None:
    """List the products with their state.

    \b
    Examples:
      cortex products
      cortex products --json | jq -r '.[].name'
    """
    states = await _settled(backend)
    if as_json:
        print_json([state.product.model_dump(mode="json") for state in states])
        return
    print_table(
        ("ID", "NAME", "STATE", "BROKER", "SUBSCRIPTIONS"),
        [
            (
                state.product.id,
                state.product.name,
                word_of(state),
                state.broker or "-",
                f"{state.subscriptions_enabled}/{state.subscriptions_total}",
            )
            for state in states
        ],
    )


@click.argument("product", required=False, shell_complete=completion.products)
@json_option
@click.option("--watch", is_flag=True, help="Go on, with a line wherever a state changes.")
async def status(backend: Backend, product: str | None, as_json: bool, watch: bool) -> None:
    """Say how the connections are, of all products or of one.

    PRODUCT is an id or a name.

    A connection is degraded where the broker refused a filter, or nothing is taken at present.

    With --watch there is a line for every product, and from then on one where its state or the
    cause of it is another: none for messages, and none for an attempt that fails as the one
    before. A line begins with the time, which is local; with --json it is an object by itself, and
    its times are UTC. That the orchestrator cannot be asked is told on stderr. Ctrl+C ends it,
    with 0.

    \b
    Examples:
      cortex status || mail -s "a product is down" ops
      cortex status "car tyres" --json --watch
    """
    chosen = None if product is None else (await find(backend, product)).id
    if watch:
        await _follow(backend, chosen, as_json)
        return
    states = [each for each in await _settled(backend) if chosen in (None, each.product.id)]
    if as_json and chosen is None:
        print_json([_as_json(state) for state in states])
    else:
        for state in states:
            _print_status(state, as_json)
        if not states:
            click.echo("no products")
    _raise_unless_fine(states)


async def _follow(backend: Backend, chosen: int | None, as_json: bool) -> None:
    told: dict[int, tuple[str, ...]] = {}
    problem_told = None
    async with contextlib.aclosing(backend.watch()) as beats:
        async for changed in beats:
            for product_id, state in changed.items():
                if chosen not in (None, product_id):
                    continue
                before = told.get(product_id)
                if state is None:
                    if before is not None:  # else it came and went within one beat
                        del told[product_id]
                        _tell_deleted(before[0], is_all=chosen is None)
                elif _words(state) != before and not _tries_again(before, state):
                    told[product_id] = _words(state)
                    if not as_json:
                        now = datetime.now(UTC).astimezone()
                        click.echo(f"{now:%Y-%m-%d %H:%M:%S}  ", nl=False)
                    _print_status(state, as_json)
            problem = backend.problem.text if backend.problem else None
            if problem != problem_told:
                problem_told = problem
                click.echo(problem or "The orchestrator answers again.", err=True)


def _tell_deleted(name: str, *, is_all: bool) -> None:
    gone = NotFound(f"the product {name!r} was deleted")
    if not is_all:
        raise gone
    click.echo(gone.message, err=True)


def _tries_again(before: tuple[str, ...] | None, state: ProductState) -> bool:
    """Whether what was told is that it is tried again, and it is: what comes of it counts."""
    is_retrying = before is not None and before[1] == ConnectionState.RETRYING
    return is_retrying and state.state is ConnectionState.CONNECTING


@product_argument
@click.option("--enable", metavar="NAME", help="Switch this subscription on.")
@click.option("--disable", metavar="NAME", help="Switch this subscription off.")
@json_option
async def subscriptions(
    backend: Backend, product: str, enable: str | None, disable: str | None, as_json: bool
) -> None:
    """List the subscriptions of PRODUCT, or switch one on or off.

    PRODUCT is an id or a name. A switch takes effect at the broker at once, without a reconnect.

    \b
    Examples:
      cortex subscriptions "car tyres"
      cortex subscriptions "car tyres" --disable payment_marked_as_pending
    """
    if enable is not None or disable is not None:
        may_change()
        if enable == disable:
            raise click.UsageError(f"--enable and --disable both name {plain(enable)!r}: give one")
    found = await find(backend, product)
    rows = await backend.subscriptions(found.id)
    given = ((enable, True), (disable, False))
    wanted = [(named(rows, name), enabled) for name, enabled in given if name is not None]
    for subscription, enabled in wanted:
        change = SubscriptionChange(enabled=enabled)
        await backend.update_subscription(found.id, subscription.id, change)
    if wanted:
        rows = await backend.subscriptions(found.id)
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    print_table(
        ("ID", "ON", "NAME", "RECEIVED", "TOPIC"),
        [
            (
                row.id,
                "on" if row.enabled else "off",
                row.name,
                row.stats.messages_received,
                row.topic,
            )
            for row in rows
        ],
    )


@product_argument
async def reconnect(backend: Backend, product: str) -> None:
    """Connect PRODUCT anew, and say how that went.

    PRODUCT is an id or a name.

    \b
    Examples:
      cortex reconnect "car tyres"
      cortex --url http://127.0.0.1:8004 reconnect "car tyres"
    """
    may_change()
    found = await find(backend, product)
    await backend.reconnect(found.id)
    states = [each for each in await _settled(backend) if each.product.id == found.id]
    for state in states:
        _print_status(state, as_json=False)
    _raise_unless_fine(states)


def may_change() -> None:
    """Raise `SettingsError` where every change is refused."""
    click.get_current_context().obj.check_may_change()


async def find(backend: Backend, wanted: str) -> Product:
    """The product of this id or name. Raises `NotFound`."""
    known = await backend.products()
    for product in known:
        if wanted == str(product.id) or wanted.casefold() == product.name.casefold():
            return product
    if (
        isinstance(backend, ProductIdKeeper)
        and Capability.LIST_PRODUCTS not in backend.capabilities
        and _ID.fullmatch(wanted)
    ):
        return await backend.add_product_id(int(wanted))
    names = ", ".join(plain(product.name) for product in known) or "none"
    raise NotFound(f"there is no product {plain(wanted)!r}", f"The known ones: {names}.")


def named(rows: list[Subscription], name: str) -> Subscription:
    """The subscription of this name. Raises `NotFound`."""
    for row in rows:
        if row.name == name:
            return row
    names = ", ".join(plain(row.name) for row in rows) or "none"
    raise NotFound(f"there is no subscription {plain(name)!r}", f"The known ones: {names}.")


async def _settled(backend: Backend) -> list[ProductState]:
    """The states of all products, once no connection is being made any more and every broker has
    answered what is subscribed to, or `SETTLE` seconds have passed: an embedded orchestrator has
    only just begun. Raises `Unreachable` where nothing came of it."""
    answered = False
    states: dict[int, ProductState] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLE), contextlib.aclosing(backend.watch()) as beats:
            async for changed in beats:
                answered = True
                states.update({i: state for i, state in changed.items() if state is not None})
                if not any(map(_in_the_making, states.values())):
                    break
    if backend.problem is not None:
        raise Unreachable(backend.problem.message, backend.problem.hint)
    if not answered:
        raise Unreachable(
            f"the orchestrator did not answer within {SETTLE:g} s",
            "It may be overloaded or stuck: its log says more.",
        )
    return [states[product_id] for product_id in sorted(states)]


def _in_the_making(state: ProductState) -> bool:
    status = state.status
    if state.state is ConnectionState.CONNECTED and status and state.subscriptions_enabled:
        since = status.last_connected_at
        is_new = since is not None and datetime.now(UTC) - since < timedelta(seconds=SETTLE)
        return is_new and not (status.subscribed_topics_count or status.refused_filters)
    return state.state is ConnectionState.CONNECTING


def _raise_unless_fine(states: list[ProductState]) -> None:
    if any(word_of(state) not in _FINE for state in states):
        raise NotFine


def _as_json(state: ProductState) -> dict[str, Any]:
    return {**state.model_dump(mode="json"), "state": state.state.value}


def _print_status(state: ProductState, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_as_json(state)))
        return
    name, word, *cause = _words(state)
    counted = []
    if state.status is not None:
        count = state.status.messages_received
        counted = [f"{count:,} message" + "s" * (count != 1)]
    click.echo("; ".join([name, word, *counted, *cause]))


def _words(state: ProductState) -> tuple[str, ...]:
    """The product, its state and what is wrong: all that is said of it but what is counted."""
    status = state.status
    causes = [status.connection_error, status.hint, status.paused] if status else []
    causes += [f"{each.reason}: {each.filter}" for each in status.refused_filters] if status else []
    told = [plain(worded(cause)) for cause in causes if cause]
    if state.problem:
        told.append(plain(state.problem))
    return (plain(state.product.name), word_of(state), *told)


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def print_table(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    cells = [heads, *(tuple(plain(value) for value in row) for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        click.echo("  ".join(map(set_cell_size, row, widths)).rstrip())
