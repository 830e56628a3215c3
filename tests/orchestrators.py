"""An embedded orchestrator for tests, on a database of its own, and short ways to set it up."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cortex_tui.demo.broker import Broker
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import (
    BrokerConfig,
    ConfigDraft,
    Product,
    ProductDraft,
    SubscriptionDraft,
    TopicsConfig,
)
from cortex_tui.states import ConnectionState
from tests.waiting import until

TOPIC = "/v3/applications/ABC123/business-events"


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[LocalBackend]:
    backend = await LocalBackend.open(tmp_path / "cortex.db")
    yield backend
    await backend.aclose()


def draft(broker: Broker, *, topics: TopicsConfig | None = None, **options: Any) -> ConfigDraft:
    """A configuration for `broker`, shared where it can share."""
    return ConfigDraft(
        broker=BrokerConfig(**{"host": broker.host, "port": broker.port, **options}),
        topics=topics or TopicsConfig(use_shared=broker.sharing),
    )


async def configured(
    backend: LocalBackend, config: ConfigDraft, *subscriptions: SubscriptionDraft
) -> Product:
    """A product with this configuration and these subscriptions."""
    product = await backend.create_product(ProductDraft(name="Tyres"))
    for subscription in subscriptions:
        await backend.create_subscription(product.id, subscription)
    await backend.save_config(product.id, config)
    return product


async def reaches(backend: LocalBackend, product_id: int, state: ConnectionState) -> None:
    """Wait until the product's connection is in `state`."""

    async def reached() -> bool:
        return (await backend.status(product_id)).state is state

    await until(reached)


async def connected(
    backend: LocalBackend, config: ConfigDraft, *subscriptions: SubscriptionDraft
) -> Product:
    """Like `configured`, once it is connected."""
    product = await configured(backend, config, *subscriptions)
    await reaches(backend, product.id, ConnectionState.CONNECTED)
    return product


async def listens(backend: LocalBackend, product_id: int) -> None:
    """Wait until the broker has granted the product a filter: what comes from now on arrives."""

    async def granted() -> bool:
        return (await backend.status(product_id)).subscribed_topics_count > 0

    await until(granted)


async def received(backend: LocalBackend, product_id: int, *counts: int) -> None:
    """Wait until the product's subscriptions, by id, have received `counts` messages."""

    async def counted() -> bool:
        found = await backend.subscriptions(product_id)
        return tuple(each.stats.messages_received for each in found) == counts

    await until(counted)
