"""Changes to an embedded orchestrator go one after another, and to their end once begun."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from cortex_tui.backend import BackendError
from cortex_tui.demo.broker import Broker
from cortex_tui.local.backend import LocalBackend
from cortex_tui.local.rows import Overview
from cortex_tui.local.store import Store
from cortex_tui.models import Product, ProductChange, ProductDraft, SubscriptionDraft
from cortex_tui.states import ConnectionState
from tests.orchestrators import connected, draft, reaches
from tests.waiting import until


class Gate:
    """Holds every change of a product up within the store, and notes what passes."""

    def __init__(self, local: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed: list[str] = []
        self.begun = threading.Event()
        self.opened = threading.Event()
        update = local._store.update_product

        def held(product_id: int, change: ProductChange) -> Product:
            self.passed.append(f"{change.name} begins")
            self.begun.set()
            self.opened.wait(20)
            try:
                return update(product_id, change)
            finally:
                self.passed.append(f"{change.name} ends")

        monkeypatch.setattr(local._store, "update_product", held)


@pytest.fixture
async def gate(local: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gate]:
    made = Gate(local, monkeypatch)
    yield made
    made.opened.set()


async def abandoned(local: LocalBackend, gate: Gate, product_id: int, name: str) -> None:
    """Begin a change, and be gone in the middle of it, as a client that hangs up."""
    change = local.update_product(product_id, ProductChange(name=name))
    caller = asyncio.create_task(change)
    await until(gate.begun.is_set)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_product_that_cannot_be_deleted_stays_connected(
    local: LocalBackend, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await connected(local, draft(broker), SubscriptionDraft(name="paid"))

    def full(_: int) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(local._store, "delete_product", full)
    with pytest.raises(sqlite3.OperationalError):
        await local.delete_product(product.id)
    await reaches(local, product.id, ConnectionState.CONNECTED)


async def test_an_orchestrator_that_cannot_be_opened_lets_go_of_its_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cortex.db"
    with monkeypatch.context() as broken:
        broken.setattr(Store, "overviews", None)
        with pytest.raises(TypeError):
            await LocalBackend.open(path)
    await (await LocalBackend.open(path)).aclose()


async def test_the_next_change_waits_for_one_that_nobody_waits_for(
    local: LocalBackend, gate: Gate
) -> None:
    product = await local.create_product(ProductDraft(name="Tyres"))
    await abandoned(local, gate, product.id, "first")
    second = asyncio.create_task(local.update_product(product.id, ProductChange(name="second")))
    await until(lambda: bool(local._changing._waiters))
    assert gate.passed == ["first begins"]
    gate.opened.set()
    assert (await second).name == "second"
    assert gate.passed == ["first begins", "first ends", "second begins", "second ends"]


async def test_what_nobody_waited_for_is_told_to_the_watchers(
    local: LocalBackend, gate: Gate
) -> None:
    product = await local.create_product(ProductDraft(name="Tyres"))
    beats = local.watch()
    await anext(beats)
    await abandoned(local, gate, product.id, "Wheels")
    gate.opened.set()
    async with asyncio.timeout(20):
        async for beat in beats:
            state = beat[product.id]
            if state is not None and state.product.name == "Wheels":
                break
    await beats.aclose()


async def test_a_change_that_fails_after_its_caller_has_gone_makes_way(
    local: LocalBackend, gate: Gate
) -> None:
    await local.create_product(ProductDraft(name="Wheels"))
    product = await local.create_product(ProductDraft(name="Tyres"))
    await abandoned(local, gate, product.id, "Wheels")
    gate.opened.set()
    assert (await local.update_product(product.id, ProductChange(name="Rims"))).name == "Rims"


async def test_closing_lets_a_change_that_has_begun_go_to_its_end(
    local: LocalBackend, gate: Gate
) -> None:
    product = await local.create_product(ProductDraft(name="Tyres"))
    await abandoned(local, gate, product.id, "first")
    late = asyncio.create_task(local.update_product(product.id, ProductChange(name="late")))
    closing = asyncio.create_task(local.aclose())
    gate.opened.set()
    await closing
    with contextlib.suppress(BackendError):
        await late
    assert gate.passed[:2] == ["first begins", "first ends"]
    path = Path(local.label)
    again = await LocalBackend.open(path)
    try:
        [stored] = await again.products()
        assert stored.name in ("first", "late")
        with pytest.raises(BackendError, match="closed"):
            await local.update_product(product.id, ProductChange(name="too late"))
    finally:
        await again.aclose()


async def test_a_product_that_nobody_waited_for_is_told_to_the_watchers(
    local: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, opened, create = threading.Event(), threading.Event(), local._store.create_product

    def held(draft: ProductDraft) -> Product:
        begun.set()
        opened.wait(20)
        return create(draft)

    monkeypatch.setattr(local._store, "create_product", held)
    async with contextlib.aclosing(local.watch()) as beats:
        assert await anext(beats) == {}
        caller = asyncio.create_task(local.create_product(ProductDraft(name="Tyres")))
        await until(begun.is_set)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        closing = asyncio.create_task(local._changing.acquire())
        opened.set()
        await closing  # as `aclose` waits for it
        local._changing.release()
        [product] = await local.products()
        async with asyncio.timeout(20):
            assert list(await anext(beats)) == [product.id]


async def test_a_watch_that_reads_while_it_is_closed_ends(
    local: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, opened, read = threading.Event(), threading.Event(), local._store.overviews

    def held(product_ids: Iterable[int] | None = None) -> list[Overview]:
        begun.set()
        opened.wait(20)
        return read(product_ids)

    product = await local.create_product(ProductDraft(name="Tyres"))
    async with contextlib.aclosing(local.watch()) as beats:
        assert list(await anext(beats)) == [product.id]
        monkeypatch.setattr(local._store, "overviews", held)
        local._changes.mark(product.id)
        last = asyncio.ensure_future(anext(beats, "the end"))
        await until(begun.is_set)
        await local.aclose()
        opened.set()
        assert await last == "the end"
