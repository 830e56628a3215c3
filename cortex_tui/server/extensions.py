"""What this orchestrator offers beyond the reference, in routes of its own."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.responses import StreamingResponse

from cortex_tui.answers import (
    CapabilityList,
    ConfigHistory,
    ProductList,
    ProductSaved,
    States,
    SubscriptionSaved,
    Success,
)
from cortex_tui.backend import Backend
from cortex_tui.models import ProductChange, ProductDraft, SubscriptionDraft
from cortex_tui.server.documented import ProductId, SubscriptionId, answer
from cortex_tui.server.errors import BODY, CONFLICT, INVALID, NOT_FOUND
from cortex_tui.server.live import Live
from cortex_tui.server.strict import StrictRoute


def extension_routes(backend: Backend, live: Live, base: str) -> APIRouter:
    """The router of the extensions, below the path `base`."""
    router = APIRouter(prefix=base, route_class=StrictRoute, tags=["extensions"])

    @router.get(
        "/capabilities",
        summary="What this orchestrator can do beyond the reference",
        response_model=CapabilityList,
    )
    async def capabilities() -> Response:
        names = sorted(capability.name.lower() for capability in backend.capabilities)
        return answer(CapabilityList(capabilities=tuple(names)))

    @router.get("/products", summary="List products", response_model=ProductList)
    async def list_products() -> Response:
        return answer(ProductList(products=tuple(await backend.products())))

    @router.post(
        "/products",
        status_code=201,
        summary="Create a product",
        response_model=ProductSaved,
        responses={**CONFLICT, **BODY, **INVALID},
    )
    async def create_product(draft: Annotated[ProductDraft, Body()]) -> Response:
        product = await backend.create_product(draft)
        return answer(ProductSaved(message="Product created successfully", product=product), 201)

    @router.get(
        "/products/status/stream",
        summary="States as they change, as server-sent events",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Events whose data is one of `States`: every product at first, "
                "then those that changed, null for one that is gone. Each state is whole. "
                "A comment every 15 seconds shows that a quiet stream is alive.",
                "model": States,
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    async def stream() -> Response:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(live.events(), media_type="text/event-stream", headers=headers)

    @router.patch(
        "/products/{product_id}",
        summary="Change a product",
        response_model=ProductSaved,
        responses={**NOT_FOUND, **CONFLICT, **BODY, **INVALID},
    )
    async def update_product(
        product_id: ProductId, change: Annotated[ProductChange, Body()]
    ) -> Response:
        product = await backend.update_product(product_id, change)
        return answer(ProductSaved(message="Product updated successfully", product=product))

    @router.delete(
        "/products/{product_id}",
        summary="Delete a product with all that belongs to it",
        response_model=Success,
        responses={**NOT_FOUND, **INVALID},
    )
    async def delete_product(product_id: ProductId) -> Response:
        await backend.delete_product(product_id)
        return answer(Success(message="Product deleted successfully"))

    @router.get(
        "/products/{product_id}/mqtt-config/history",
        summary="The versions of a configuration, newest first",
        response_model=ConfigHistory,
        responses={**NOT_FOUND, **INVALID},
    )
    async def config_history(product_id: ProductId) -> Response:
        return answer(ConfigHistory(versions=tuple(await backend.config_history(product_id))))

    @router.post(
        "/products/{product_id}/mqtt-config/subscriptions",
        status_code=201,
        summary="Create a subscription",
        response_model=SubscriptionSaved,
        responses={**NOT_FOUND, **CONFLICT, **BODY, **INVALID},
    )
    async def create_subscription(
        product_id: ProductId, draft: Annotated[SubscriptionDraft, Body()]
    ) -> Response:
        made = await backend.create_subscription(product_id, draft)
        message = "Subscription created successfully"
        return answer(SubscriptionSaved(message=message, subscription=made), 201)

    @router.delete(
        "/products/{product_id}/mqtt-config/subscriptions/{subscription_id}",
        summary="Delete a subscription",
        response_model=Success,
        responses={**NOT_FOUND, **INVALID},
    )
    async def delete_subscription(
        product_id: ProductId, subscription_id: SubscriptionId
    ) -> Response:
        await backend.delete_subscription(product_id, subscription_id)
        return answer(Success(message="Subscription deleted successfully"))

    return router
