"""`cortex serve`: an orchestrator over HTTP, without screens. A demo is served so too."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from cortex_tui import daemon
from cortex_tui.backend import Backend
from cortex_tui.invocation import Invocation
from cortex_tui.opening import open_local
from cortex_tui.settings import Context, Settings, environment_token, read_secret
from cortex_tui.usage import FINE, INTERRUPTED, UNREACHABLE, USAGE, Whole, exit_codes, fail

SERVED = "the HTTP API changes things"
"""Why it is not served read-only."""


def register(group: click.Group) -> None:
    """Add the command to `group`."""
    group.add_command(serve)


@click.command(
    epilog=exit_codes(
        {
            FINE: "stopped, by SIGTERM or Ctrl+C",
            USAGE: "wrong usage, or a library is missing",
            UNREACHABLE: "it cannot listen there, or its database cannot be opened",
            INTERRUPTED: "given up with Ctrl+C before it served",
        }
    )
)
@click.option("--db", type=click.Path(path_type=Path), help="The same as before the command.")
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on.",
)
@click.option(
    "--port",
    type=Whole(0, 65_535),
    metavar="PORT",
    default=8004,
    show_default=True,
    help="Port to listen on; 0: any.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help="Its one line is the token. [env: CORTEX_TOKEN, itself]",
)
@click.option("--tls-cert", type=click.Path(path_type=Path), help="PEM file with the chain.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="PEM file with its private key.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of the log, on stderr.",
)
@click.pass_obj
def serve(invocation: Invocation, /, db: Path | None, **options: Any) -> None:
    """Serve the HTTP API of an orchestrator, without screens.

    It runs the products of its database, for every `cortex --url` and every other client. Without
    a token it listens to this machine only.

    \b
    Examples:
      cortex serve
      cortex serve --db /srv/cortex.db --host 0.0.0.0 \\
          --token-file /etc/cortex/token --tls-cert cert.pem --tls-key key.pem
    """
    context = invocation.target.context
    if db is not None:
        context = Context(db=db)
    if context.url is not None:
        fail("a remote orchestrator serves itself", "Choose a database: cortex serve --db PATH.")
    invocation.check_may_change(SERVED)
    server = _server()
    try:
        daemon.run(_serve(server, invocation.settings, context, **options))
    except server.Misused as error:
        fail(error.message, error.hint, USAGE)


async def _serve(
    server: ModuleType,
    settings: Settings,
    context: Context,
    *,
    host: str,
    token_file: Path | None,
    **options: Any,
) -> None:
    token = read_secret(token_file, "--token-file") if token_file else environment_token()
    server.check_binding(host, token)
    backend = await open_local(context, settings)

    def ready(url: str) -> None:
        backend.announce(url)
        click.echo(f"Cortex listens on {url}")

    try:
        hosts = server.hosts_of(host, token)
        app = server.create_app(backend, token=token, allowed_hosts=hosts)
        await server.serve(app, host=host, on_ready=ready, **options)
    finally:
        await backend.aclose()


@asynccontextmanager
async def served(backend: Backend, port: int | None) -> AsyncIterator[str | None]:
    """Where `backend` is served to this machine; nowhere without a `port`."""
    if port is None:
        yield None
        return
    server = _server()
    app = server.create_app(backend, token=environment_token())
    async with server.serving(app, port=port) as url:
        yield url


def _server() -> ModuleType:
    try:
        from cortex_tui import server
    except ImportError:
        fail("serving needs more libraries", "Install them: pip install 'cortex-tui[server]'")
    return server
