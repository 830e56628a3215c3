"""The delivery thread, where something fails beside it."""

import sqlite3
from pathlib import Path

import pytest

from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.local.delivery import Delivery
from cortex_tui.local.outbox import Outbox
from cortex_tui.local.store import Store
from cortex_tui.local.vault import Vault
from tests.waiting import wait_until


def test_pruning_goes_on_where_whoever_is_told_of_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cortex_tui.local.delivery.PRUNE_INTERVAL", 0.0)
    told = list[None]()

    def tell() -> None:
        told.append(None)
        if len(told) == 1:
            raise sqlite3.OperationalError("disk I/O error")

    async def publish(*_: object) -> None: ...

    store = Store(tmp_path / "cortex.db", Vault.open(tmp_path / "key"))
    delivery = Delivery(
        Outbox(store),
        DeliverySettings(),
        templates=tmp_path,
        publish=publish,
        on_settled=lambda _: None,
        on_pruned=tell,
    )
    delivery.start()
    wait_until(lambda: len(told) > 1)
    delivery.close(5)
    store.close()
