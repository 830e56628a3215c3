"""What scripts are told of states that go on changing."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from rich.cells import cell_len

from cortex_tui import scripting
from cortex_tui.backend import Backend, NotFound, Unreachable
from cortex_tui.models import ConnectionStatus, Product, ProductState
from cortex_tui.scripting import print_table, status
from cortex_tui.server import examples
from cortex_tui.states import ConnectionState

TYRES = Product(id=2, name="Tyres")
REFUSED: dict[str, Any] = {
    "connection_error": "the broker refuses connections",
    "hint": "Start it.",
}

Beat = Mapping[int, ProductState | None]


class Beating:
    """An orchestrator whose states are these, one after the other."""

    def __init__(self, *beats: Beat | Unreachable) -> None:
        self._beats = beats
        self.problem: Unreachable | None = None

    async def products(self) -> list[Product]:
        return [TYRES]

    async def watch(self) -> AsyncGenerator[Beat]:
        for beat in self._beats:
            self.problem = beat if isinstance(beat, Unreachable) else None
            yield {} if isinstance(beat, Unreachable) else beat


def tyres(state: ConnectionState, count: int = 0, **values: Any) -> Beat:
    told = {**examples.CONNECTED, "messages_received": count, "state": state, **values}
    return {2: ProductState(product=TYRES, status=ConnectionStatus.model_validate(told))}


class Lasting(Beating):
    """One whose states stay as the last of them, and which says nothing more."""

    async def watch(self) -> AsyncGenerator[Beat]:
        async for beat in super().watch():
            yield beat
        await asyncio.Event().wait()


async def watched(*beats: Beat | Unreachable, **options: Any) -> None:
    given = {"product": None, "as_json": False, "watch": True, **options}
    await status(cast("Backend", Beating(*beats)), **given)


async def test_messages_make_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    await watched(
        tyres(ConnectionState.CONNECTED, 1),
        tyres(ConnectionState.CONNECTED, 2),
        tyres(ConnectionState.DISCONNECTED, 3),
        tyres(ConnectionState.DISCONNECTED, 4, **REFUSED),
        tyres(ConnectionState.CONNECTED, 5),
    )
    lines = capsys.readouterr().out.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  Tyres; ", line) for line in lines)
    assert [line.split("  ")[1] for line in lines] == [
        "Tyres; connected; 1 message",
        "Tyres; disconnected; 3 messages",
        "Tyres; disconnected; 4 messages; the broker refuses connections; Start it.",
        "Tyres; connected; 5 messages",
    ]


async def test_attempts_that_fail_as_the_one_before_make_no_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await watched(
        tyres(ConnectionState.CONNECTING, attempt=1),
        tyres(ConnectionState.RETRYING, attempt=1, **REFUSED),
        tyres(ConnectionState.CONNECTING, attempt=2),
        tyres(ConnectionState.RETRYING, attempt=2, **REFUSED),
        tyres(ConnectionState.CONNECTING, attempt=3),
        tyres(ConnectionState.CONNECTED),
    )
    words = [line.split("; ")[1] for line in capsys.readouterr().out.splitlines()]
    assert words == ["connecting", "retrying", "connected"]
    await watched(tyres(ConnectionState.CONNECTING, attempt=7))
    assert "connecting" in capsys.readouterr().out, "how it is at first is told"


async def test_what_is_connected_no_more_is_not_left_at_that(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await watched(
        tyres(ConnectionState.CONNECTED), tyres(ConnectionState.CONNECTING, attempt=2, **REFUSED)
    )
    words = [line.split("; ")[1] for line in capsys.readouterr().out.splitlines()]
    assert words == ["connected", "connecting"]


async def test_the_first_attempt_after_a_loss_is_one_like_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await watched(
        tyres(ConnectionState.RETRYING, **REFUSED),
        tyres(ConnectionState.CONNECTING, attempt=1),
        tyres(ConnectionState.RETRYING, attempt=1, **REFUSED),
    )
    words = [line.split("; ")[1] for line in capsys.readouterr().out.splitlines()]
    assert words == ["retrying"]


async def test_so_it_is_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    await watched(
        tyres(ConnectionState.CONNECTED, 1), tyres(ConnectionState.CONNECTED, 2), as_json=True
    )
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["state"] == "connected"


async def test_what_is_deleted_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    beats = tyres(ConnectionState.CONNECTED), {2: None}
    await watched(*beats)
    assert capsys.readouterr().err == "the product 'Tyres' was deleted\n"
    with pytest.raises(NotFound, match="the product 'Tyres' was deleted"):
        await watched(*beats, product="tyres")


async def test_an_orchestrator_that_is_away_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    away = Unreachable("it is away", "Wait.")
    await watched(away, away, tyres(ConnectionState.CONNECTED))
    told = capsys.readouterr()
    assert told.err == "it is away. Wait.\nThe orchestrator answers again.\n"
    assert told.out.endswith("  Tyres; connected; 0 messages\n")


async def test_an_orchestrator_that_says_nothing_is_not_one_without_products(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scripting, "SETTLE", 0.05)
    options: dict[str, Any] = {"product": None, "as_json": False, "watch": False}
    with pytest.raises(Unreachable, match=r"did not answer within 0\.05 s") as failed:
        await status(cast("Backend", Lasting()), **options)
    assert failed.value.hint
    assert capsys.readouterr().out == ""
    await status(cast("Backend", Lasting({})), **options)
    assert capsys.readouterr().out == "no products\n", "it has answered"


@pytest.mark.parametrize(("seconds", "waited_for"), [(0, True), (scripting.SETTLE, False)])
def test_only_a_connection_that_is_new_is_waited_for(seconds: float, waited_for: bool) -> None:
    at = datetime.now(UTC) - timedelta(seconds=seconds)
    (connected,) = tyres(
        ConnectionState.CONNECTED, subscribed_topics_count=0, last_connected_at=at
    ).values()
    assert connected is not None
    enabled = connected.model_copy(update={"subscriptions_enabled": 1})
    assert scripting._in_the_making(enabled) is waited_for


def test_a_table_counts_the_cells_of_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "STATE"), [("車のタイヤ", "connected"), ("Tyres", "retrying")])
    starts = [cell_len(line[: line.rindex(" ")]) for line in capsys.readouterr().out.splitlines()]
    assert starts == [11, 11, 11]
