"""The command as a person types it: a process, its output and its exit code."""

import asyncio
import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner

from cortex_tui import __version__
from cortex_tui.cli import main
from cortex_tui.delivery_settings import DeliverySettings, HttpSettings
from cortex_tui.demo.broker import Broker
from cortex_tui.events import JobState, Publication
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import (
    Action,
    BrokerConfig,
    ConfigDraft,
    SubscriptionDraft,
    TopicsConfig,
)
from tests.brokers import ANONYMOUS, StartMosquitto
from tests.certificates import Authority
from tests.orchestrators import TOPIC, connected, draft, listens
from tests.processes import CORTEX, prepare, run, serving
from tests.waiting import until
from tests.webservers import Answer, StartWeb


def test_version_and_help(environment: dict[str, str]) -> None:
    assert run(environment, "--version").stdout == f"cortex {__version__}\n"
    assert "cortex demo" in run(environment, "--help").stdout
    for command in (
        "demo",
        "serve",
        "status",
        "products",
        "subscriptions",
        "reconnect",
        "events",
        "actions",
    ):
        assert run(environment, command, "--help").returncode == 0


def test_without_a_terminal_the_application_says_so(environment: dict[str, str]) -> None:
    finished = run(environment)
    assert finished.returncode == 2
    assert "needs a terminal" in finished.stderr


def test_a_dumb_terminal_is_refused(environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    finished = subprocess.run(
        CORTEX, env={**environment, "TERM": "dumb"}, stdin=theirs, stdout=theirs,
        stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert finished.returncode == 2
    assert "TERM=xterm-256color" in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--db", "a", "--context", "b", "products"], "both given"),
        (["--context", "nowhere", "products"], "--context: there is no context 'nowhere'"),
        (["--db", "/proc/nowhere/cortex.db", "serve"], "cannot be used as a database"),
        (["--db", "mistyped.db", "status"], "there is no database mistyped.db"),
        (["--db", "mistyped.db", "test"], "there is no database mistyped.db"),
        (["test", "localhost:1883"], "Write mqtt://HOST:PORT"),
        (["serve", "--host", "0.0.0.0"], "Without a token"),
        (["serve", "--token-file", "/nowhere"], "--token-file /nowhere cannot be read"),
        (["serve", "--port", "99999"], "--port: 99999 is not in the range 0<=x<=65535"),
        (["serve", "--port", "x"], "--port: 'x' is not a valid whole number.\n"),
        (["serve", "--port", "x"], "Give a whole number from 0 to 65,535. See cortex serve --help"),
        (["demo", "--rate", "x"], "--rate: 'x' is not a valid number.\n  Give a number from 0 to "),
        (["serve", "--host", ""], "--host is empty"),
        (["serve", "--tls-cert", __file__], "--tls-cert takes a PEM file"),
        (["--db", "", "status"], ". cannot be used as a database: it is a folder"),
        (["--db", "~nobody-here/x", "status"], "there is no such place"),
        (["--db", "x" * 5_000, "status"], "File name too long"),
        (["serve", "--db", ""], "it is a folder"),
        (["--url", "http://localhost:99999", "status"], "a number from 1 to 65,535"),
        (["--url", "ftp://localhost", "status"], "--url has a scheme that is not supported: start"),
        (["serve", "--token-file", "~nobody-here/x"], "there is no such place"),
        (["demo", "--rate", "nan"], "--rate: nan is no number"),
        (["events"], "Missing argument 'PRODUCT'"),
        (["events", "1", "--limit", "0"], "--limit: 0 is not in the range"),
        (["actions", "1", "--state", "lost"], "--state: 'lost' is not one of"),
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option '--nonsense'"),
        (["--frob"], "cortex: No such option '--frob'.\n  See cortex --help."),
        (["--them", "nord"], "No such option '--them'. Did you mean '--theme'?\n"),
        (["status", "--url", "x"], "'--url' goes before the command: cortex --url … status\n"),
        (["status", "--jsno"], "No such option '--jsno'. Did you mean '--json'?\n"),
        (["--db"], "Option '--db' requires an argument"),
    ],
)
def test_bad_input_is_one_clear_message(
    environment: dict[str, str], arguments: list[str], says: str
) -> None:
    finished = run(environment, *arguments)
    assert finished.returncode in (2, 3)
    assert says in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not Path("mistyped.db").exists()


async def test_a_database_without_products_says_so(
    environment: dict[str, str], tmp_path: Path
) -> None:
    await (await LocalBackend.open(tmp_path / "cortex.db")).aclose()
    finished = await asyncio.to_thread(run, environment, "status")
    assert (finished.returncode, finished.stdout) == (0, "no products\n")
    finished = await asyncio.to_thread(run, environment, "status", "nowhere")
    assert (finished.returncode, "there is no product 'nowhere'" in finished.stderr) == (2, True)


@pytest.fixture
def config(environment: dict[str, str], tmp_path: Path) -> Path:
    """The `config.toml` of `environment`, in which no orchestrator is named otherwise."""
    path = tmp_path / "config.toml"
    environment["CORTEX_CONFIG"] = str(path)
    del environment["CORTEX_DB"]
    environment["XDG_DATA_HOME"] = str(tmp_path)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("theme = ", "config.toml is not valid TOML"),
        ("durabilty = 'full'", "config.toml: durabilty: unknown key Did you mean durability?"),
        ("[delivry]", "config.toml: delivry: unknown key Did you mean delivery?"),
        ("[contexts.bench]\nurll = 'x'", "contexts.bench.urll: unknown key Did you mean url?"),
        ("default_context = 'bensh'", "config.toml: default_context: there is no context 'bensh'"),
        ("default_context = 1", "config.toml: default_context: "),
    ],
)
def test_a_mistake_in_the_configuration_file_ends_a_script(
    environment: dict[str, str], config: Path, text: str, says: str
) -> None:
    config.write_text(text)
    finished = run(environment, "products")
    assert (finished.returncode, finished.stdout) == (2, "")
    assert says in " ".join(finished.stderr.split())
    assert run(environment, "products", "--help").returncode == 0, "help is there all the same"


@pytest.mark.parametrize(
    "arguments",
    [
        ["products"],
        ["--db", "other.db", "products"],
        ["--url", "http://127.0.0.1:1", "status"],
        ["test", "mqtt://127.0.0.1:1"],
        ["serve", "--port", "0"],
    ],
)
def test_a_configuration_file_that_is_named_has_to_be_there(
    environment: dict[str, str], config: Path, arguments: list[str]
) -> None:
    finished = run(environment, *arguments)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == (
        f"cortex: CORTEX_CONFIG names a file that is not there: {config}\n"
        "  Check the path, or unset CORTEX_CONFIG.\n"
    )


@pytest.mark.parametrize("arguments", [[], ["demo"]])
def test_the_application_needs_the_configuration_file_that_is_named(
    environment: dict[str, str], config: Path, arguments: list[str]
) -> None:
    ours, theirs = pty.openpty()
    finished = subprocess.run(
        [*CORTEX, *arguments], env=environment, stdin=theirs, stdout=theirs,
        stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert finished.returncode == 2
    assert f"CORTEX_CONFIG names a file that is not there: {config}" in finished.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("theme = 'nrod'", "config.toml: theme: there is no theme 'nrod'. Did you mean nord?"),
        ("theme = 7", "config.toml: theme: "),
        ("mouse = 'perhaps'", "config.toml: mouse: "),
        ("[keys]\n'products.new' = 'ctrl+m'", "config.toml: keys.products.new: terminals send"),
        ("keys = 'x'", "config.toml: keys: "),
        ("[keys]\n'products.nwe' = 'x'", "no command 'products.nwe'. Did you mean products.new?"),
    ],
)
def test_a_mistake_in_what_only_screens_use_is_told_and_not_in_the_way(
    environment: dict[str, str], config: Path, text: str, says: str
) -> None:
    config.write_text(text)
    finished = run(environment, "products")
    assert (finished.returncode, finished.stdout.split()[0]) == (0, "ID")
    (line,) = finished.stderr.splitlines()
    assert line.startswith("cortex: ")
    assert says in line


def test_a_default_that_is_not_asked_for_is_in_nobodys_way(
    environment: dict[str, str], config: Path
) -> None:
    config.write_text("default_context = 'bensh'")
    assert run(environment, "--context", "local", "products").returncode == 0
    assert run(environment, "test", "mqtt://localhost:1").returncode == 11


def test_events_and_actions(
    environment: dict[str, str], tmp_path: Path, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)

    async def happen() -> None:
        backend = await LocalBackend.open(tmp_path / "cortex.db")
        record, fax = Action(type="record"), Action(type="send_fax")
        paid = SubscriptionDraft(name="paid", topic=TOPIC, event="*", actions=(record, fax))
        product = await connected(backend, draft(broker), paid)
        await listens(backend, product.id)
        await backend.publish(product.id, Publication(topic=TOPIC, payload='{"event": "paid"}'))
        await backend.publish(product.id, Publication(topic=TOPIC, payload="\x1b[31mno JSON"))
        await until(lambda: received(backend, "no JSON"))
        await backend.aclose()

    async def received(backend: LocalBackend, text: str = "paid") -> bool:
        return any(text in event.payload for event in await backend.events(1))

    asyncio.run(happen())
    listed = run(environment, "events", "tyres")
    assert "not JSON: line 1" in listed.stdout
    assert "paid" in listed.stdout
    shown = json.loads(run(environment, "events", "1", "--json", "--limit", "1").stdout)
    assert [each["payload"] for each in shown] == ["\x1b[31mno JSON"]

    zoned = run({**environment, "TZ": "Asia/Tokyo"}, "events", "tyres")
    assert re.search(r"^ID +AT \(JST\) ", zoned.stdout)
    assert re.search(r"\d\d:\d\d:\d\d  ", zoned.stdout), "to the second"

    dead = run(environment, "actions", "tyres", "--state", "dead").stdout
    assert "send_fax" in dead
    assert "unknown action type 'send_fax'" in dead
    assert "record" not in dead
    assert json.loads(run(environment, "actions", "1", "--state", "waiting", "--json").stdout) == []
    first = json.loads(run(environment, "actions", "tyres", "--json").stdout)[-1]
    assert (first["id"], first["state"], first["action"]) == (1, "recorded", {"type": "record"})
    assert json.loads(run(environment, "actions", "1", "--id", "1", "--json").stdout) == [first]
    tried = run(environment, "actions", "1", "--retry", "--subscription", "paid")
    assert tried.returncode == 1, "it is dead again"
    assert tried.stdout.startswith("1 retried: 1 dead\n")
    assert "  2: unknown action type 'send_fax'" in tried.stdout
    retried = json.loads(run(environment, "actions", "1", "--state", "dead", "--json").stdout)
    assert [len(each["failures"]) for each in retried] == [2]
    discard = ("actions", "1", "--discard", "--all", "--json")
    assert run(environment, *discard, "--state", "waiting").stdout == '{\n  "count": 0\n}\n'
    assert run(environment, *discard, "--state", "dead").stdout == '{\n  "count": 1\n}\n'
    for wrong, says in (
        (["--retry"], "say which"),
        (["--discard", "--id", "1", "--all"], "say which"),
        (["--retry", "--discard", "--all"], "give one of them"),
        (["--retry", "--subscription", "nobody"], "there is no subscription 'nobody'"),
        (
            ["--retry", "--id", "1"],
            "there is no dead letter 1\n  `cortex actions PRODUCT --state dead` lists them.",
        ),
        (["--discard", "--id", "77"], "there is no action 77 that is dead or waits"),
        (
            ["--discard", "--id", "77", "--state", "waiting"],
            "there is no action 77 that waits\n  `cortex actions PRODUCT --state pending` lists",
        ),
        (
            ["--discard", "--all", "--state", "dead", "--state", "done"],
            "only dead, pending or waiting",
        ),
        (["--id", "77"], "there is no action 77\n  `cortex actions PRODUCT` lists them."),
        (["--retry", "--all", "--state", "dead"], "--state chooses what is listed"),
    ):
        finished = run(environment, "actions", "tyres", *wrong)
        assert (finished.returncode, says in finished.stderr) == (2, True)


async def _dead_letter(path: Path, broker: Broker, url: str) -> None:
    """Leave one action behind that the web hook at `url` refused."""
    delivery = DeliverySettings(webhook=HttpSettings(url=url))
    backend = await LocalBackend.open(path, delivery=delivery)
    told = SubscriptionDraft(name="t", topic=TOPIC, event="*", actions=(Action(type="webhook"),))
    product = await connected(backend, draft(broker), told)
    await listens(backend, product.id)
    await backend.publish(product.id, Publication(topic=TOPIC, payload='{"event": "paid"}'))

    async def given_up() -> bool:
        return bool(await backend.jobs(product.id, states=[JobState.DEAD]))

    await until(given_up)
    await backend.aclose()


def test_a_retry_says_what_came_of_it(
    environment: dict[str, str], tmp_path: Path, start_mosquitto: StartMosquitto, web: StartWeb
) -> None:
    broker, codes = start_mosquitto(*ANONYMOUS), [422, 204]
    url = web(lambda _: Answer(codes.pop(0), b"")).url
    (tmp_path / "config.toml").write_text(f'[delivery.webhook]\nurl = "{url}"\n')
    environment["CORTEX_CONFIG"] = str(tmp_path / "config.toml")

    asyncio.run(_dead_letter(tmp_path / "cortex.db", broker, url))
    tried = run(environment, "actions", "tyres", "--retry", "--id", "1")
    assert (tried.returncode, tried.stdout) == (0, "1 retried: 1 done\n")
    again = run(environment, "actions", "tyres", "--retry", "--all", "--json")
    none = {"count": 0, "done": 0, "recorded": 0, "dead": 0, "waiting": 0}
    assert json.loads(again.stdout) == none


def test_a_retry_that_fails_again_is_told_once(
    environment: dict[str, str], tmp_path: Path, start_mosquitto: StartMosquitto, web: StartWeb
) -> None:
    broker, codes = start_mosquitto(*ANONYMOUS), [422, 503]
    url = web(lambda _: Answer(codes.pop(0), b"")).url
    settings = f'[delivery]\nmax_attempts = 1\n[delivery.webhook]\nurl = "{url}"\n'
    (tmp_path / "config.toml").write_text(settings)
    environment["CORTEX_CONFIG"] = str(tmp_path / "config.toml")

    asyncio.run(_dead_letter(tmp_path / "cortex.db", broker, url))
    tried = run(environment, "actions", "tyres", "--retry", "--all")
    assert (tried.returncode, tried.stderr) == (1, "")
    assert tried.stdout.count("503") == 1


def test_a_retry_of_what_is_sent_nowhere_any_more_says_that_it_is_recorded(
    environment: dict[str, str], tmp_path: Path, start_mosquitto: StartMosquitto, web: StartWeb
) -> None:
    broker, url = start_mosquitto(*ANONYMOUS), web(lambda _: Answer(422, b"")).url

    asyncio.run(_dead_letter(tmp_path / "cortex.db", broker, url))
    tried = run(environment, "actions", "tyres", "--retry", "--id", "1")
    assert (tried.returncode, tried.stdout) == (0, "1 retried: 1 recorded\n")


def test_serve_answers_tells_where_it_is_and_ends_in_order(environment: dict[str, str]) -> None:
    with serving(environment) as server:
        url = server.url
        busy = run(environment, "products")
        assert busy.returncode == 3
        who = rf"process {server.process.pid}, since \d+-\d+-\d+ \d+:\d+:\d+ UTC\n"
        assert re.search(who, busy.stderr)
        assert f"cortex --url {url}" in busy.stderr
        # A stream has no end of its own: the server has to end it.
        stream = httpx.stream("GET", f"{url}/api/v1/products/status/stream")
        told = stream.__enter__().iter_raw()
        assert b'data: {"states":{}}' in next(told)
        server.process.send_signal(signal.SIGTERM)
        list(told)
        stream.__exit__(None, None, None)
    assert run(environment, "products").returncode == 0


def test_serve_a_database_with_a_token_tls_and_a_log_of_json(
    environment: dict[str, str], tmp_path: Path, authority: Authority
) -> None:
    identity = authority.server("orchestrator")
    token = tmp_path / "token"
    token.write_text("a-long-random-text\n")
    arguments = [
        "--db", str(tmp_path / "served.db"), "--host", "0.0.0.0", "--token-file", str(token),
        "--tls-cert", str(identity.cert), "--tls-key", str(identity.key), "--log-format", "json",
    ]  # fmt: skip
    with serving(environment, *arguments) as server:
        assert (tmp_path / "served.db").exists()
        url = server.url.replace("0.0.0.0", "localhost")
        asking = {**environment, "SSL_CERT_FILE": str(authority.cert)}
        stranger = run(asking, "--url", url, "products")
        assert (stranger.returncode, "wants a token" in stranger.stderr) == (3, True)
        known = run({**asking, "CORTEX_TOKEN": "a-long-random-text"}, "--url", url, "products")
        assert (known.returncode, known.stderr) == (0, "")
        untrusting = run(environment, "--url", url, "products")
        assert (untrusting.returncode, "is not trusted" in untrusting.stderr) == (3, True)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    refused = next(line for line in lines if line.get("status") == 401)
    assert (refused["level"], refused["method"]) == ("info", "GET")
    assert refused["path"] == "/api/v1/capabilities"
    assert refused["ms"] >= 0
    assert "a-long-random-text" not in json.dumps(lines)
    assert not any(line["level"] == "warning" for line in lines), "it has TLS"


def test_serve_warns_loudly_where_a_token_goes_over_the_network_in_clear_text(
    environment: dict[str, str],
) -> None:
    for_others = {**environment, "CORTEX_TOKEN": "a-long-random-text"}
    with serving(for_others, "--host", "0.0.0.0") as server:
        pass
    (line,) = server.log.read_text().splitlines()
    assert " WARNING 0.0.0.0 is served without TLS: the token and the passwords go " in line


@pytest.mark.parametrize(
    ("arguments", "token", "code"),
    [
        (["--host", "0.0.0.0"], {}, 2),
        (["--host", ""], {}, 2),
        (["--tls-key", __file__], {}, 2),
        (["--tls-cert", __file__], {}, 2),
        (["--host", "203.0.113.1"], {"CORTEX_TOKEN": "a-long-random-text"}, 3),
    ],
)
def test_serve_tells_wrong_usage_from_what_cannot_be_just_now(
    environment: dict[str, str], arguments: list[str], token: dict[str, str], code: int
) -> None:
    finished = run({**environment, **token}, "serve", "--port", "0", *arguments)
    assert (finished.returncode, "Traceback" in finished.stderr) == (code, False)


def test_serve_logs_a_line_a_request(environment: dict[str, str]) -> None:
    with serving(environment) as server:
        httpx.get(f"{server.url}/api/v1/products/7/mqtt-config/status")
    (line,) = server.log.read_text().splitlines()
    assert " INFO " in line
    assert "127.0.0.1 GET /api/v1/products/7/mqtt-config/status 404 " in line


def test_serve_keeps_files_for_itself_however_many_connect(environment: dict[str, str]) -> None:
    with serving(environment) as server, ExitStack() as stack:
        most = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (100, most))
        host, port = server.url.removeprefix("http://").split(":")
        crowd = [
            stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            for _ in range(150)
        ]
        with suppress(ConnectionResetError):
            assert crowd[-1].recv(1) == b"", "it is turned away"
        crowd[0].sendall(b"GET /api/v1/products HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert crowd[0].recv(100).startswith(b"HTTP/1.1 200 ")
    assert "Traceback" not in server.log.read_text()


def test_a_read_only_context_changes_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    config = ConfigDraft(broker=BrokerConfig(host="127.0.0.1", port=1), topics=TopicsConfig())
    prepare(tmp_path / "cortex.db", config)
    for arguments in (
        ["subscriptions", "tyres", "--disable", "paid"],
        ["reconnect", "tyres"],
        ["test", "tyres", "--round-trip", "a/b"],
        ["serve", "--port", "0"],
    ):
        refused = run(environment, "--read-only", *arguments)
        assert refused.returncode == 2
        assert refused.stderr.startswith("cortex: --read-only is given, and ")
        assert refused.stderr.endswith("\n  Leave it out.\n")
    by_context = tmp_path / "config.toml"
    by_context.write_text(f"[contexts.bench]\ndb = '{tmp_path}/cortex.db'\nread_only = true")
    named = {**environment, "CORTEX_CONFIG": str(by_context)}
    refused = run(named, "--context", "bench", "reconnect", "tyres")
    assert "the context bench is read-only" in refused.stderr
    assert "Choose another with --context." in refused.stderr
    assert "on  " in run(environment, "--read-only", "subscriptions", "tyres").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["products"],
        ["status", "--watch"],
        ["reconnect", "tyres"],
        ["events", "tyres", "--follow"],
        ["test", "tyres"],
        ["serve"],
        ["demo"],
        [],
    ],
)
def test_what_is_given_up_while_it_starts_was_not_fine(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cortex_tui.invocation.Invocation", interrupted)
    finished = CliRunner().invoke(main, arguments)
    assert (finished.exit_code, finished.output) == (130, "")


@pytest.mark.parametrize("name", [None, *main.list_commands(click.Context(main))])
def test_the_help_of_every_command_has_an_example_and_its_exit_codes(name: str | None) -> None:
    shown = CliRunner().invoke(main, ["--help"] if name is None else [name, "--help"])
    assert shown.exit_code == 0
    assert "Examples:\n" in shown.output
    codes = shown.output.partition("Exit codes:\n")[2].partition("\n\n")[0].splitlines()
    told = {line[:8].strip(): line[8:].strip() for line in codes}
    assert {"0", "2", "3", "70", "130"} <= told.keys()
    assert all(code.isdigit() and what for code, what in told.items()), "one line each"
    assert ("1" in told) == (name in (None, "status", "reconnect", "actions", "test"))
    # At 80 columns nothing is folded by the terminal, and no summary is cut off.
    assert max(map(len, shown.output.splitlines())) <= 80
    assert "..." not in shown.output.partition("Examples:")[0].partition("Commands:")[2]


def test_a_shell_completes_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"_CORTEX_COMPLETE": "bash_complete", "COMP_WORDS": "cortex sub", "COMP_CWORD": "1"}
    for variable, value in asked.items():
        monkeypatch.setenv(variable, value)
    shown = CliRunner().invoke(main, prog_name="cortex", env=asked)
    assert shown.output == "plain,subscriptions\n"
