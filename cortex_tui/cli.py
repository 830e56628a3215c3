"""The command `cortex`. Each command is a few lines; what it needs is imported inside it."""

import asyncio
import dataclasses
import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from cortex_tui import __version__, completion, daemon
from cortex_tui.usage import (
    FINE,
    INTERRUPTED,
    NOT_FINE,
    UNFORESEEN,
    UNREACHABLE,
    USAGE,
    Number,
    Whole,
    end_unwritten,
    exit_codes,
    fail,
    fail_misused,
    is_of_output,
    make_streams,
)

if TYPE_CHECKING:
    from cortex_tui.app import CortexApp, OpenBackend, ReadStored
    from cortex_tui.backend import Backend
    from cortex_tui.invocation import Invocation
    from cortex_tui.settings import Remembered, Target


@contextmanager
def _cut_short() -> Iterator[None]:
    """Ends with the exit code of Ctrl+C, or of an output that cannot be written, where Click would
    with 1, which means "not fine"."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except OSError as error:
        if not is_of_output(error):
            raise
        end_unwritten(error)


class _Cortex(click.Group):
    """Turns what can go wrong into one message with its fix, never a traceback.

    The commands of other rooms are imported when one is asked for, so that the application need
    not wait for them.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._add_those_of_other_rooms()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands:
            self._add_those_of_other_rooms()
        return super().get_command(ctx, cmd_name)

    def _add_those_of_other_rooms(self) -> None:
        from cortex_tui import diagnosing, happenings, hosting, scripting

        for room in (scripting, happenings, diagnosing, hosting):
            room.register(self)

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        make_streams()
        with _cut_short():
            try:
                return super().make_context(*arguments, **options)
            except click.UsageError as error:
                fail_misused(error)

    def invoke(self, ctx: click.Context) -> Any:
        with _cut_short():
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> Any:
        from cortex_tui.backend import BackendError, Conflict, Invalid, NotFound, Unsupported
        from cortex_tui.settings import SettingsError

        try:
            return super().invoke(ctx)
        except (SettingsError, NotFound, Invalid, Conflict, Unsupported) as error:
            fail(error.message, error.hint, USAGE)
        except BackendError as error:
            fail(error.message, error.hint, UNREACHABLE)
        except click.UsageError as error:
            fail_misused(error)
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except Exception as error:
            if is_of_output(error):
                raise
            _log_to_file()
            logging.getLogger(__name__).critical("the command failed", exc_info=True)
            _fail_unforeseen()


def _fail_unforeseen() -> NoReturn:
    from cortex_tui.settings import log_file

    fail(
        "something unforeseen happened; this is a fault of the program",
        f"What exactly is in {log_file()}: please report it.",
        UNFORESEEN,
    )


@click.group(
    cls=_Cortex,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=exit_codes(
        {
            FINE: "fine",
            NOT_FINE: "what was asked about is not: COMMAND --help says more",
            INTERRUPTED: "given up with Ctrl+C; on screen, it leaves the application with 0",
        }
    )
    + """

\b
Examples:
  cortex demo                          look around; it leaves nothing behind
  cortex                               your products, in ~/.local/share/cortex
  cortex --db ./try.db                 in a database of your own
  cortex --url http://localhost:8004   of an orchestrator elsewhere
  cortex status                        as a script sees it, with an exit code
  cortex COMMAND --help                more examples
""",
)
@click.option(
    "--db",
    type=click.Path(path_type=Path),
    help="Database of the embedded orchestrator. [env: CORTEX_DB]",
)
@click.option("--url", metavar="URL", help="A remote orchestrator. [env: CORTEX_URL, CORTEX_TOKEN]")
@click.option(
    "--context",
    "context_name",
    metavar="NAME",
    shell_complete=completion.contexts,
    help="A context of config.toml. [env: CORTEX_CONTEXT]",
)
@click.option(
    "--read-only",
    is_flag=True,
    help="Refuse every change by a person. Products of a local database run all the same; to only "
    "look, add --url.",
)
@click.option(
    "--theme",
    metavar="NAME",
    shell_complete=completion.themes,
    help="Theme of the application, for this run.",
)
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal.")
@click.version_option(__version__, prog_name="cortex", message="%(prog)s %(version)s")
@click.pass_context
def main(
    ctx: click.Context,
    /,
    *,
    db: Path | None,
    url: str | None,
    context_name: str | None,
    read_only: bool,
    theme: str | None,
    no_mouse: bool,
) -> None:
    """See, configure and run event-driven products on MQTT.

    Without a command: the application, in this terminal.
    """
    from cortex_tui.invocation import Invocation

    ctx.obj = Invocation(
        db=db,
        url=url,
        context=context_name,
        read_only=read_only,
        theme=theme,
        mouse=not no_mouse,
        screens=ctx.invoked_subcommand in (None, demo.name),
    )
    if ctx.invoked_subcommand != "serve":  # which logs on stderr
        _log_to_file()
    if ctx.invoked_subcommand is None:
        gc.disable()  # what is imported now is there to stay; see _open
        _need_terminal()
        daemon.run(_run_app(ctx.obj))


@main.command(
    epilog=exit_codes(
        {
            FINE: "left",
            USAGE: "wrong usage, or no terminal or no broker for it",
            UNREACHABLE: "--port cannot be served",
            INTERRUPTED: "given up with Ctrl+C before it was on screen",
        }
    )
)
@click.option(
    "--rate",
    type=Number(0, 1_000),
    metavar="EVENTS",
    default=4.0,
    show_default=True,
    help="Simulated events per second.",
)
@click.option(
    "--port",
    type=Whole(0, 65_535),
    metavar="PORT",
    help="Serve the HTTP API there too, to this machine only; 0: any port.",
)
@click.pass_obj
def demo(invocation: "Invocation", rate: float, port: int | None) -> None:
    """Show a demo: three products, a broker and live events.

    One product is healthy, the broker of one refuses its password, one is not configured. Nothing
    is sent to anybody, and nothing is left behind.

    \b
    Examples:
      cortex demo
      cortex demo --rate 200
      cortex demo --port 8004          and in a second terminal:
      cortex --url http://127.0.0.1:8004 events "car tyres" --follow
    """
    from cortex_tui.hosting import SERVED

    _need_terminal()
    if port is not None:
        invocation.check_may_change(SERVED)
    daemon.run(_demo(invocation, rate, port))


async def _demo(invocation: "Invocation", rate: float, port: int | None) -> None:
    from cortex_tui import demo
    from cortex_tui.hosting import served
    from cortex_tui.local.backend import LocalBackend
    from cortex_tui.settings import Context, Remembered, Target

    try:
        async with demo.running(LocalBackend.open, rate=rate) as running:

            async def already_open(_: "Target") -> "Backend":
                return running.backend

            context = Context(read_only=invocation.target.context.read_only)
            target = Target(f"demo on {running.broker_name}", context)
            nothing = Remembered(None)  # and nothing is left behind
            async with served(running.backend, port) as url:
                if url is not None:
                    target = dataclasses.replace(target, name=f"{target.name}, {url}")
                await _show(_app(invocation, already_open, target, nothing), invocation)
    except demo.BrokerFailed as error:
        fail(str(error))


async def _run_app(invocation: "Invocation") -> None:
    from cortex_tui.opening import read_stored
    from cortex_tui.settings import Remembered

    remembered = Remembered.default()
    app = _app(
        invocation,
        partial(_open, invocation),
        invocation.target,
        remembered,
        others=invocation.others,
        read_stored=read_stored,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, app.exit)
    await _show(app, invocation)


async def _open(invocation: "Invocation", target: "Target") -> "Backend":
    try:
        return await invocation.open(target)
    finally:
        if not gc.isenabled():  # the first time; what a later one leaves behind is collected
            gc.freeze()
            gc.enable()


async def _show(app: "CortexApp", invocation: "Invocation") -> None:
    await app.run_async(mouse=invocation.mouse)
    gc.freeze()  # nothing needs collecting any more: the process ends 0.15 s sooner
    if app.return_code:
        _fail_unforeseen()


def _app(
    invocation: "Invocation",
    open_backend: "OpenBackend",
    target: "Target",
    remembered: "Remembered",
    *,
    others: Sequence["Target"] = (),
    read_stored: "ReadStored | None" = None,
) -> "CortexApp":
    from cortex_tui.app import CortexApp
    from cortex_tui.keymap import keymap

    return CortexApp(
        open_backend,
        target,
        others=others,
        theme=invocation.theme,
        keymap=keymap(invocation.settings.keys),
        remembered=remembered,
        read_stored=read_stored,
        test_limit=invocation.settings.test_seconds,
    )


def _need_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail("this needs a terminal for its input and output", "See cortex --help for other ways.")
    if os.environ.get("TERM", "dumb") in ("", "dumb", "unknown"):
        fail(
            "the terminal is said to be a dumb one (TERM=dumb): nothing can be drawn on it",
            "Set TERM to what it is, as in TERM=xterm-256color.",
        )


def _log_to_file() -> None:
    # The terminal belongs to the screens, and stderr to what a command has to say. The file is
    # small, and only its owner reads it.
    from logging.handlers import RotatingFileHandler

    from cortex_tui.settings import SettingsError, log_file

    try:
        path = log_file()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = RotatingFileHandler(path, maxBytes=1_000_000, backupCount=1, encoding="utf-8")
        path.chmod(0o600)
    except (OSError, SettingsError):
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.raiseExceptions = False  # on stderr, in full, where the disk is
    # Of others only warnings: httpx, for one, notes each URL, and that of a web hook is a secret.
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("cortex_tui").setLevel(logging.INFO)
    # `cortex serve` logs them on stderr; here they would soon leave room for nothing else.
    logging.getLogger("cortex_tui.server.access.reads").setLevel(logging.WARNING)
