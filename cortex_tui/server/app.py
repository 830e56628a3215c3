"""`create_app`: any backend behind the HTTP API of the reference."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from cortex_tui import __version__
from cortex_tui.backend import Backend
from cortex_tui.server.documented import documented_routes
from cortex_tui.server.errors import ANYWHERE, add_error_handlers
from cortex_tui.server.events import event_routes
from cortex_tui.server.extensions import extension_routes
from cortex_tui.server.limits import BodyLimit
from cortex_tui.server.live import Live
from cortex_tui.server.observe import Observe, ProductMetrics, health_routes
from cortex_tui.server.openapi import describe
from cortex_tui.server.security import LOOPBACK_HOSTS, Guard, check_token

BASE_PATH = "/api/v1"


def create_app(
    backend: Backend,
    *,
    token: SecretStr | None = None,
    extensions: bool = True,
    allowed_hosts: Collection[str] | None = LOOPBACK_HOSTS,
) -> FastAPI:
    """The orchestrator's API over `backend`, which stays the caller's to close.

    With a `token` every request but those for health has to bring it. `allowed_hosts` are the
    names that a Host and an Origin header may have; none allows every name, and is only safe
    with a token. Without `extensions` the API is what the reference documents and nothing more.

    Raises `CannotServe` for an empty token.
    """
    check_token(token)
    live = Live(backend)
    registry = CollectorRegistry()
    registry.register(ProductMetrics(live))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(live.run())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    app = FastAPI(
        title="Cortex orchestrator",
        version=__version__,
        lifespan=lifespan,
        responses=ANYWHERE,
        redirect_slashes=False,
        # The documentation pages would load scripts of other sites into this origin.
        docs_url=None,
        redoc_url=None,
    )
    app.state.live = live
    app.include_router(documented_routes(backend, BASE_PATH, extensions=extensions))
    if extensions:
        app.include_router(extension_routes(backend, live, BASE_PATH))
        app.include_router(event_routes(backend, BASE_PATH))
    app.include_router(health_routes(backend, live, registry))
    add_error_handlers(app)
    describe(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(Guard, token=token, allowed_hosts=allowed_hosts)
    app.add_middleware(Observe, registry=registry)
    return app
