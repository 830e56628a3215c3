"""What arrived and what came of it, in routes of their own: all of it is beyond the reference."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from cortex_tui.answers import EventList, JobList, JobsChanged, Success
from cortex_tui.backend import Backend
from cortex_tui.events import Explanation, JobChoice, JobState, Publication, Trial
from cortex_tui.server.documented import MAX_ID, ProductId, answer
from cortex_tui.server.errors import BODY, CONFLICT, INVALID, NOT_FOUND
from cortex_tui.server.strict import StrictRoute

MAX_LIMIT = 500

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many at most")]
After = Annotated[int, Query(ge=0, le=MAX_ID, description="Only those with a larger id")]
Before = Annotated[int | None, Query(ge=0, le=MAX_ID, description="Only those with a smaller id")]


def event_routes(backend: Backend, base_path: str) -> APIRouter:
    """The router of events and actions, below `base_path`."""
    router = APIRouter(prefix=base_path, route_class=StrictRoute, tags=["events and actions"])

    @router.get(
        "/products/{product_id}/events",
        summary="The newest events, newest first",
        response_model=EventList,
        responses={**NOT_FOUND, **INVALID},
    )
    async def list_events(
        product_id: ProductId,
        after: After = 0,
        before: Before = None,
        limit: Limit = 100,
    ) -> Response:
        found = await backend.events(product_id, after=after, before=before, limit=limit)
        return answer(EventList(events=tuple(found)))

    @router.get(
        "/products/{product_id}/actions",
        summary="The newest actions that events set off, newest first",
        response_model=JobList,
        responses={**NOT_FOUND, **INVALID},
    )
    async def list_actions(
        product_id: ProductId,
        state: Annotated[list[JobState] | None, Query(description="Only those in these")] = None,
        subscription_id: Annotated[int | None, Query(ge=0, le=MAX_ID)] = None,
        before: Before = None,
        limit: Limit = 100,
    ) -> Response:
        found = await backend.jobs(
            product_id,
            states=state or tuple(JobState),
            subscription_id=subscription_id,
            before=before,
            limit=limit,
        )
        return answer(JobList(actions=tuple(found)))

    @router.post(
        "/products/{product_id}/actions/retry",
        summary="Attempt dead letters anew",
        response_model=JobsChanged,
        responses={**NOT_FOUND, **BODY, **INVALID},
    )
    async def retry(product_id: ProductId, choice: Annotated[JobChoice, Body()]) -> Response:
        count = await backend.retry_jobs(product_id, choice)
        return answer(JobsChanged(message="Actions are attempted anew", count=count))

    @router.post(
        "/products/{product_id}/actions/discard",
        summary="Delete dead letters and actions that wait",
        response_model=JobsChanged,
        responses={**NOT_FOUND, **BODY, **INVALID},
    )
    async def discard(product_id: ProductId, choice: Annotated[JobChoice, Body()]) -> Response:
        count = await backend.discard_jobs(product_id, choice)
        return answer(JobsChanged(message="Actions deleted", count=count))

    @router.post(
        "/products/{product_id}/try-event",
        summary="What a subscription would make of an event; nothing comes of it",
        response_model=Explanation,
        responses={**NOT_FOUND, **BODY, **INVALID},
    )
    async def try_event(product_id: ProductId, trial: Annotated[Trial, Body()]) -> Response:
        return answer(await backend.try_event(product_id, trial))

    @router.post(
        "/products/{product_id}/publish",
        summary="Publish to the product's broker",
        response_model=Success,
        responses={**NOT_FOUND, **CONFLICT, **BODY, **INVALID},
    )
    async def publish(
        product_id: ProductId, publication: Annotated[Publication, Body()]
    ) -> Response:
        await backend.publish(product_id, publication)
        return answer(Success(message="Published"))

    return router
