"""What is known of the products before there is an orchestrator: the same as afterwards, or
nothing."""

import sqlite3
from dataclasses import fields
from pathlib import Path

import pytest

from cortex_tui.local.backend import LocalBackend
from cortex_tui.local.stored import stored_products
from cortex_tui.models import ConfigDraft, ProductChange, ProductDraft, SubscriptionDraft
from cortex_tui.states import ConnectionState, StoredProduct


async def filled(path: Path) -> LocalBackend:
    backend = await LocalBackend.open(path)
    tyres, brakes, _ = [
        await backend.create_product(ProductDraft(name=name, description=f"All about {name}"))
        for name in ("tyres", "brakes", "unconfigured")
    ]
    nowhere = ConfigDraft.model_validate({"broker": {"host": "::1", "port": 9}, "topics": {}})
    for product in (tyres, brakes):
        await backend.save_config(product.id, nowhere)
    await backend.update_product(brakes.id, ProductChange(enabled=False))
    for name, enabled in (("a", True), ("b", False)):
        draft = SubscriptionDraft(name=name, topic=f"x/{name}", enabled=enabled)
        await backend.create_subscription(tyres.id, draft)
    return backend


async def test_it_says_what_the_orchestrator_says_later(tmp_path: Path) -> None:
    path = tmp_path / "cortex.db"
    backend = await filled(path)
    try:
        states = await anext(backend.watch())
    finally:
        await backend.aclose()
    stored = stored_products(path)
    assert list(stored) == list(states)
    same = {each.name for each in fields(StoredProduct)} - {"id", "name", "description", "enabled"}
    for product_id, product in stored.items():
        state = states[product_id]
        assert state is not None
        assert product.name == state.product.name
        assert product.description == state.product.description
        assert product.enabled == state.product.enabled
        for name in same - {"status"}:
            assert getattr(product, name) == getattr(state, name), name
    assert [each.state for each in stored.values()] == [
        ConnectionState.CONNECTING,
        ConnectionState.DISABLED,
        ConnectionState.NOT_CONFIGURED,
    ]


async def test_it_looks_while_an_orchestrator_runs(tmp_path: Path) -> None:
    backend = await filled(tmp_path / "cortex.db")
    try:
        assert len(stored_products(tmp_path / "cortex.db")) == 3
    finally:
        await backend.aclose()


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert stored_products(tmp_path / "cortex.db") == {}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"no database" * 100])
def test_what_is_no_database_of_ours_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.db").write_bytes(content)
    assert stored_products(tmp_path / "x.db") == {}


def test_a_database_of_another_version_says_nothing(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE products (id INTEGER, name TEXT)")
    assert stored_products(tmp_path / "x.db") == {}
