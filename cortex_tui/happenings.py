"""The commands for scripts about events and actions."""

import contextlib
import json
from datetime import UTC, datetime

import click

from cortex_tui.backend import Backend, NotFound, Unreachable
from cortex_tui.events import DISCARDABLE, Event, JobChoice, JobState
from cortex_tui.models import Product
from cortex_tui.retrying import MOST, OUTCOMES, came_to, dead_letters, waits, word_of
from cortex_tui.scripting import (
    SETTLE,
    command,
    find,
    json_option,
    may_change,
    named,
    print_json,
    print_table,
    product_argument,
)
from cortex_tui.usage import FINE, NOT_FINE, NotFine, Whole
from cortex_tui.widgets.text import clock, plain

COLUMN = 80
"""Characters of a payload that a table shows."""
REASON = 300
"""Characters of a reason: who was refused, and what a mail server said to that."""
SHOWN = 10
"""Dead letters that a retry names."""
STATES = {**{each.value: (each,) for each in JobState}, "waiting": OUTCOMES["waiting"]}
"""What --state takes, and what is meant: the states of the API, and the word of the screens."""


def _listed_by(*states: JobState) -> str:
    """How to see those in some states, or all of them."""
    chosen = "".join(f" --state {state}" for state in states)
    return f"`cortex actions PRODUCT{chosen}` lists them."


def register(group: click.Group) -> None:
    """Add the commands to `group`."""
    for function, codes in (
        (events, {FINE: "listed, or followed until Ctrl+C"}),
        (
            actions,
            {FINE: "listed, retried or discarded", NOT_FINE: "what was retried is dead again"},
        ),
    ):
        command(group, codes)(function)


_limit = click.option(
    "--limit",
    type=Whole(1, MOST),
    metavar="N",
    default=100,
    show_default=True,
    help="At most so many.",
)


@product_argument
@click.option("--follow", is_flag=True, help="The newest last, then a line for every new one.")
@_limit
@json_option
async def events(
    backend: Backend, product: str, *, follow: bool, limit: int, as_json: bool
) -> None:
    """List the newest events of PRODUCT, or follow them.

    PRODUCT is an id or a name. The newest stands first; with --follow, last. Times are local;
    those of --json are exact, and UTC.

    \b
    Examples:
      cortex events "car tyres" --json --limit 1 | jq -r '.[].payload'
      cortex events "car tyres" --follow --json | jq -c 'select(.problem)'
    """
    found = await find(backend, product)
    if follow:
        await _follow(backend, found, limit, as_json)
        return
    rows = await backend.events(found.id, limit=limit)
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    now = datetime.now(UTC)
    print_table(
        ("ID", f"AT ({now.astimezone():%Z})", "NAME", "TOPIC", "PAYLOAD"),
        [
            (
                row.id,
                clock(row.at, now),
                row.name or "-",
                row.topic,
                plain(row.problem or row.payload, COLUMN),
            )
            for row in rows
        ],
    )


async def _follow(backend: Backend, product: Product, limit: int, as_json: bool) -> None:
    """Print events as they come, the oldest first; an orchestrator that is away is waited for."""
    last, told = 0, None
    async with contextlib.aclosing(backend.watch()) as beats:
        async for changed in beats:
            problem = backend.problem.text if backend.problem else None
            if problem != told:
                told = problem
                click.echo(problem or "The orchestrator answers again.", err=True)
            if product.id not in changed or problem:
                continue
            if changed[product.id] is None:
                raise NotFound(f"the product {plain(product.name)!r} was deleted")
            try:
                rows = await backend.events(product.id, after=last, limit=MOST if last else limit)
            except Unreachable:
                continue  # the next beat tells
            if rows and last and (passed := rows[-1].id - last - 1):
                what = "event before these is" if passed == 1 else "events before these are"
                click.echo(f"{passed:,} {what} not shown", err=True)
            for row in reversed(rows):
                click.echo(json.dumps(row.model_dump(mode="json")) if as_json else _line(row))
            last = rows[0].id if rows else last


def _line(event: Event) -> str:
    at = clock(event.at, datetime.now(UTC))
    what = event.problem or event.payload
    return "  ".join(map(plain, (at, event.name or "-", event.topic, plain(what, COLUMN))))


def _is_id(_: click.Context, __: click.Parameter, value: int | None) -> int | None:
    if value is not None and not 0 < value < 2**63:
        raise click.BadParameter(f"{value} is no id of an action: they count from 1")
    return value


@product_argument
@click.option(
    "--state",
    "states",
    metavar="STATE",
    type=click.Choice(list(STATES)),
    multiple=True,
    help=f"Only those in this state: {', '.join(JobState)}; or waiting, which is pending and "
    "running. May be given more than once; with --discard: dead, pending or waiting.",
)
@click.option("--retry", is_flag=True, help="Attempt the chosen dead letters anew.")
@click.option(
    "--discard",
    is_flag=True,
    help="Delete the chosen: dead letters, and also what waits, unless --state says which of them. "
    "It cannot be undone.",
)
@click.option("--id", "job_id", type=int, metavar="ID", callback=_is_id, help="Choose this one.")
@click.option("--subscription", metavar="NAME", help="Choose those of this subscription.")
@click.option("--all", "every", is_flag=True, help="Choose all of the product.")
@_limit
@json_option
async def actions(
    backend: Backend,
    product: str,
    *,
    states: tuple[str, ...],
    retry: bool,
    discard: bool,
    job_id: int | None,
    subscription: str | None,
    every: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest actions of PRODUCT; retry or discard some.

    PRODUCT is an id or a name. Dead letters are actions that were given up; a retry says what came
    of it. Times are local; those of --json are UTC.

    \b
    Examples:
      cortex actions "car tyres" --state dead
      cortex actions "car tyres" --retry --id 17
      cortex actions 1 --discard --all --state dead
    """
    if retry or discard:
        may_change()
        if retry and discard:
            raise click.UsageError("--retry and --discard: give one of them")
        if retry and states:
            raise click.UsageError("--state chooses what is listed or discarded: leave it out")
        if sum((job_id is not None, subscription is not None, every)) != 1:
            raise click.UsageError("say which: one of --id, --subscription and --all")
        if not all(set(STATES[each]).intersection(DISCARDABLE) for each in states):
            raise click.UsageError("--state: only dead, pending or waiting can be discarded")
    chosen = {state for each in states for state in STATES[each]} or set(JobState)
    found = await find(backend, product)
    known = await backend.subscriptions(found.id)
    subscription_id = None if subscription is None else named(known, subscription).id
    if retry or discard:
        choice = JobChoice(
            job_id=job_id,
            subscription_id=subscription_id,
            states=tuple(each for each in DISCARDABLE if each in chosen),
        )
        await (_retry if retry else _discard)(backend, found.id, choice, as_json)
        return
    rows = await backend.jobs(
        found.id,
        states=chosen,
        subscription_id=subscription_id,
        before=None if job_id is None else job_id + 1,
        limit=limit if job_id is None else 1,
    )
    rows = [row for row in rows if job_id in (None, row.id)]
    if job_id is not None and not rows:
        raise NotFound(f"there is no action {job_id}", _listed_by())
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
        return
    now, names = datetime.now(UTC), {each.id: each.name for each in known}
    print_table(
        (
            "ID",
            f"AT ({now.astimezone():%Z})",
            "STATE",
            "TYPE",
            "SUBSCRIPTION",
            "ATTEMPTS",
            "LAST FAILURE",
        ),
        [
            (
                row.id,
                clock(row.created_at, now),
                word_of(row),
                plain(row.action.type, COLUMN),
                names.get(row.subscription_id, row.subscription_id),
                row.attempts,
                plain(row.reason, REASON) or "-",
            )
            for row in rows
        ],
    )


async def _retry(backend: Backend, product_id: int, choice: JobChoice, as_json: bool) -> None:
    """Retry dead letters, wait for what comes of it, and tell. Raises `NotFine` where one is dead
    again."""
    chosen = await dead_letters(backend, product_id, choice)
    count = await backend.retry_jobs(product_id, choice)
    if choice.job_id is not None and not count:
        raise NotFound(f"there is no dead letter {choice.job_id}", _listed_by(JobState.DEAD))
    # An embedded orchestrator delivers only as long as it is open.
    outcome = await came_to(backend, product_id, choice, chosen, seconds=SETTLE, while_any=waits)
    again = outcome["dead"]
    if as_json:
        print_json({"count": count, **{what: len(jobs) for what, jobs in outcome.items()}})
    else:
        parts = ", ".join(f"{len(jobs):,} {what}" for what, jobs in outcome.items() if jobs)
        click.echo(f"{count:,} retried" + (f": {parts}" if parts else ""))
        for job in sorted(again, key=lambda job: job.id)[:SHOWN]:
            click.echo(f"  {job.id}: {plain(job.reason, REASON)}")
        if len(again) > SHOWN:
            click.echo(f"  and {len(again) - SHOWN:,} more")
    if again:
        raise NotFine


async def _discard(backend: Backend, product_id: int, choice: JobChoice, as_json: bool) -> None:
    count = await backend.discard_jobs(product_id, choice)
    if choice.job_id is not None and not count:
        words = {JobState.DEAD: "is dead", JobState.PENDING: "waits"}
        what = " or ".join(words[state] for state in choice.states)
        raise NotFound(
            f"there is no action {choice.job_id} that {what}", _listed_by(*choice.states)
        )
    if as_json:
        print_json({"count": count})
    else:
        click.echo(f"{count:,} discarded")
