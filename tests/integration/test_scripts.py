"""The commands for scripts, on both backends: what they print, and their exit codes."""

import json
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from cortex_tui.models import BrokerConfig, ConfigDraft, TopicsConfig
from cortex_tui.server import examples
from tests.brokers import ANONYMOUS, StartMosquitto, publish, users
from tests.counterparts import StartCounterpart, connack, scripted
from tests.orchestrators import TOPIC, draft
from tests.processes import CORTEX, prepare, run, serving
from tests.waiting import wait_until
from tests.webservers import Answer, Request, StartWeb, documented

FINE, NOT_CONNECTED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130
Finished = subprocess.CompletedProcess[str]
Cortex = Callable[..., Finished]
With = Callable[[ConfigDraft], AbstractContextManager[Cortex]]
NOWHERE = ConfigDraft(broker=BrokerConfig(host="127.0.0.1", port=1), topics=TopicsConfig())


REFUSES_THE_FILTER = scripted(connack(0), b"\x90\x04\x00\x01\x00\x87")


@pytest.fixture(params=["embedded", "remote"])
def cortex(request: pytest.FixtureRequest, environment: dict[str, str], tmp_path: Path) -> With:
    """`with cortex(config) as run:` runs commands on an orchestrator whose product has this
    configuration."""

    @contextmanager
    def prepared(config: ConfigDraft) -> Iterator[Cortex]:
        prepare(tmp_path / "cortex.db", config)
        if request.param == "embedded":
            yield lambda *arguments: run(environment, *arguments)
            return
        with serving(environment) as server:
            yield lambda *arguments: run(environment, "--url", server.url, *arguments)

    return prepared


def test_connected(cortex: With, start_mosquitto: StartMosquitto) -> None:
    with cortex(draft(start_mosquitto(*ANONYMOUS))) as run:
        finished = run("status")
        assert (finished.returncode, finished.stderr) == (FINE, "")
        assert finished.stdout.splitlines() == [
            "Tyres; connected; 0 messages",
            "Not configured; not configured",
        ]
        by_name = run("status", "tYRES", "--json")
        assert by_name.returncode == FINE
        state = json.loads(by_name.stdout)
        assert (state["state"], state["status"]["connected"]) == ("connected", True)
        every = json.loads(run("status", "--json").stdout)
        assert [each["state"] for each in every] == ["connected", "not configured"]
        again = run("reconnect", "1")
        assert (again.returncode, again.stdout) == (FINE, "Tyres; connected; 0 messages\n")


def test_a_refused_filter_is_not_fine(cortex: With, counterpart: StartCounterpart) -> None:
    port = counterpart(REFUSES_THE_FILTER)
    config = ConfigDraft(
        broker=BrokerConfig(host="127.0.0.1", port=port), topics=TopicsConfig(use_shared=False)
    )
    with cortex(config) as run:
        finished = run("status", "Tyres")
        assert finished.returncode == NOT_CONNECTED
        told, _, topic_filter = finished.stdout.rpartition(" ")
        assert told == "Tyres; degraded; 0 messages; Not authorized:"
        assert topic_filter == "/v3/applications/+/business-events\n"
        assert "degraded" in run("products").stdout


def test_not_connected(cortex: With, start_mosquitto: StartMosquitto, tmp_path: Path) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "secret"}))
    with cortex(draft(broker, username="alice", password="wrong-secret")) as run:
        for arguments in (["status"], ["status", "Tyres"], ["reconnect", "Tyres"]):
            finished = run(*arguments)
            assert finished.returncode == NOT_CONNECTED
            assert "Tyres; latched" in finished.stdout
            assert "Not authorized (code 5)" in finished.stdout
            assert "wrong-secret" not in finished.stdout + finished.stderr
        assert run("status", "2").returncode == FINE, "what is not configured is not to connect"


def test_what_cannot_be_done_is_usage(cortex: With) -> None:
    with cortex(NOWHERE) as run:
        for arguments, says in (
            (["status", "nowhere"], "there is no product 'nowhere'"),
            (["status", "77"], "The known ones: Tyres, Not configured"),
            (["subscriptions", "77"], "there is no product '77'"),
            (["subscriptions", "1", "--enable", "x"], "there is no subscription 'x'"),
            (["subscriptions"], "Missing argument"),
            (["status", "--nonsense"], "No such option"),
        ):
            finished = run(*arguments)
            assert finished.returncode == USAGE
            assert says in finished.stderr
            assert finished.stdout == ""


def test_what_is_not_configured_cannot_be_reconnected(cortex: With) -> None:
    with cortex(NOWHERE) as run:
        finished = run("reconnect", "Not configured")
        assert finished.returncode == USAGE
        assert "Save a configuration first." in finished.stderr
        said = run("reconnect", "--help").stdout
        assert (
            f"\n    {USAGE}    wrong usage, no such product, or it is disabled or not conf" in said
        )


def test_what_is_given_up_was_not_fine(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        asking = subprocess.Popen([*CORTEX, "--url", url, "products"], env=environment)
        with silent.accept()[0]:
            asking.send_signal(signal.SIGINT)
            assert asking.wait(timeout=20) == INTERRUPTED


def test_products(cortex: With) -> None:
    with cortex(NOWHERE) as run:
        finished = run("products")
        assert finished.returncode == FINE
        head, tyres, other = finished.stdout.splitlines()
        assert head.split() == ["ID", "NAME", "STATE", "BROKER", "SUBSCRIPTIONS"]
        assert tyres.split()[:2] == ["1", "Tyres"]
        assert tyres.split()[-2:] == ["127.0.0.1:1", "1/1"]
        assert other.split() == ["2", "Not", "configured", "not", "configured", "-", "0/0"]
        listed = json.loads(run("products", "--json").stdout)
        assert [product["name"] for product in listed] == ["Tyres", "Not configured"]


def test_subscriptions_are_switched(cortex: With) -> None:
    with cortex(NOWHERE) as run:
        assert "on  paid" in run("subscriptions", "tyres").stdout
        off = run("subscriptions", "1", "--disable", "paid", "--json")
        assert off.returncode == FINE
        assert [row["enabled"] for row in json.loads(off.stdout)] == [False]
        assert "off  paid" in run("subscriptions", "1").stdout
        assert "on  paid" in run("subscriptions", "1", "--enable", "paid").stdout
        both = run("subscriptions", "1", "--enable", "paid", "--disable", "paid")
        assert both.returncode == USAGE
        assert "--enable and --disable both name 'paid': give one" in both.stderr
        assert "on  paid" in run("subscriptions", "1").stdout


# -- an orchestrator that cannot be asked, or has only the documented endpoints ----------------


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["status", "1"], ["products"], ["subscriptions", "1"], ["reconnect", "1"]],
)
def test_nobody_can_be_asked(environment: dict[str, str], arguments: list[str]) -> None:
    finished = run(environment, "--url", f"http://127.0.0.1:{unused_port()}", *arguments)
    assert finished.returncode == UNREACHABLE
    assert "refuses connections" in finished.stderr
    assert finished.stdout == ""


def test_an_id_that_is_none_is_no_product(environment: dict[str, str], web: StartWeb) -> None:
    finished = run(environment, "--url", web(documented(2)).url, "status", "9" * 5_000)
    assert finished.returncode == USAGE
    assert "there is no product '999" in finished.stderr


def test_garbage_is_unreachable_too(environment: dict[str, str], web: StartWeb) -> None:
    finished = run(environment, "--url", web(lambda _: Answer(200, b"<html>")).url, "status")
    assert finished.returncode == UNREACHABLE
    assert "a web page, not with JSON" in finished.stderr


@pytest.mark.parametrize("arguments", [["status"], ["status", "1"], ["status", "x"], ["products"]])
def test_a_url_where_there_is_something_else(
    environment: dict[str, str], web: StartWeb, arguments: list[str]
) -> None:
    url = web(lambda _: Answer(404, b"<html>")).url
    finished = run(environment, "--url", f"{url}/foo", *arguments)
    assert (finished.returncode, finished.stdout) == (UNREACHABLE, "")
    assert "has no such path: /foo/api/v1/products/1/mqtt-config" in finished.stderr
    assert "Check the URL" in finished.stderr


def test_products_that_are_not_listed_are_asked_for_by_their_id(
    environment: dict[str, str], web: StartWeb
) -> None:
    def answer(request: Request) -> Answer:
        if request.path.endswith("/reconnect"):
            return Answer(200, examples.RECONNECTING)
        return documented(2)(request)

    server = web(answer)

    def cortex(*arguments: str) -> Finished:
        return run(environment, "--url", server.url, *arguments)

    known = cortex("status", "2")
    assert (known.returncode, known.stderr) == (FINE, "")
    assert known.stdout == "Product 2; connected; 1,247 messages\n"
    assert "payment_marked_as_pending" in cortex("subscriptions", "2").stdout
    assert cortex("reconnect", "2").returncode == FINE
    assert "Product 2" in cortex("products").stdout, "it is kept from then on"
    unknown = cortex("status", "3")
    assert (unknown.returncode, "Product not found" in unknown.stderr) == (USAGE, True)
    assert cortex("status", "tyres").returncode == USAGE


def test_watching_goes_on_while_the_orchestrator_is_away(
    environment: dict[str, str], web: StartWeb
) -> None:
    well = True
    server = web(lambda request: documented(2)(request) if well else Answer(503, b""))
    run(environment, "--url", server.url, "status", "2")
    with subprocess.Popen(
        [*CORTEX, "--url", server.url, "status", "2", "--watch"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert watching.stdout.readline().endswith("  Product 2; connected; 1,247 messages\n")
        well = False
        assert "  Product 2; unknown; " in watching.stdout.readline()
        assert "failed: 503" in watching.stderr.readline()
        well = True
        assert watching.stdout.readline().endswith("  Product 2; connected; 1,247 messages\n")
        assert watching.stderr.readline() == "The orchestrator answers again.\n"
        watching.send_signal(signal.SIGINT)
        wait_until(lambda: watching.poll() is not None)
    assert watching.returncode in (FINE, -signal.SIGINT)


@pytest.mark.parametrize("where", ["embedded", "remote"])
def test_events_are_followed(
    environment: dict[str, str], tmp_path: Path, start_mosquitto: StartMosquitto, where: str
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    prepare(tmp_path / "cortex.db", draft(broker))
    subscribed = broker.log.count("Sending SUBACK")
    with ExitStack() as stack:
        options: list[str] = []
        if where == "remote":
            options = ["--url", stack.enter_context(serving(environment)).url]
        following = stack.enter_context(
            subprocess.Popen(
                [*CORTEX, *options, "events", "tyres", "--follow", "--json"],
                env=environment, stdout=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        assert following.stdout is not None
        wait_until(lambda: broker.log.count("Sending SUBACK") > subscribed)
        for number in (1, 2):
            publish(broker, TOPIC, json.dumps({"event": "paid", "number": number}))
        lines = [json.loads(following.stdout.readline()) for _ in range(2)]
        assert [json.loads(each["payload"])["number"] for each in lines] == [1, 2]
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=20) == FINE
