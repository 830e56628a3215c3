"""What the contract runs over: one embedded orchestrator, reached in three ways."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from cortex_tui.backend import Backend
from cortex_tui.demo.broker import Broker
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ConfigDraft, Product, ProductDraft, Subscription, SubscriptionDraft
from cortex_tui.remote import RemoteBackend
from cortex_tui.server import create_app, serving
from tests.orchestrators import TOPIC, draft

LOCAL = "local"
REMOTE = "remote"
DOCUMENTED = "documented"
"""Over an orchestrator that has the documented endpoints and nothing else."""


@dataclass
class Orchestrator:
    """The backend under test, and the orchestrator behind it for what prepares a test."""

    backend: Backend
    inside: LocalBackend

    async def product(self, name: str = "Tyres") -> Product:
        """A new product that the backend under test knows."""
        product = await self.inside.create_product(ProductDraft(name=name))
        if isinstance(self.backend, RemoteBackend):
            await self.backend.add_product_id(product.id)
        return product

    async def subscription(self, product: Product, name: str = "paid") -> Subscription:
        made = SubscriptionDraft(name=name, topic=TOPIC, event="*", description="Pays")
        return await self.inside.create_subscription(product.id, made)

    async def configured(self, broker: Broker, config: ConfigDraft | None = None) -> Product:
        """A new product with one subscription that connects to `broker`."""
        product = await self.product()
        await self.subscription(product)
        await self.inside.save_config(product.id, config or draft(broker))
        return product


async def _reached(how: str, local: LocalBackend) -> AsyncIterator[Orchestrator]:
    if how == LOCAL:
        yield Orchestrator(local, local)
        return
    async with serving(create_app(local, extensions=how != DOCUMENTED), port=0) as url:
        remote = await RemoteBackend.open(url)
        yield Orchestrator(remote, local)
        await remote.aclose()


@pytest.fixture(params=[LOCAL, REMOTE, DOCUMENTED])
async def orchestrator(
    request: pytest.FixtureRequest, local: LocalBackend
) -> AsyncIterator[Orchestrator]:
    async for reached in _reached(request.param, local):
        yield reached


@pytest.fixture(params=[LOCAL, REMOTE])
async def extended(
    request: pytest.FixtureRequest, local: LocalBackend
) -> AsyncIterator[Orchestrator]:
    async for reached in _reached(request.param, local):
        yield reached
