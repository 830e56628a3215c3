"""Every JSON example of the API reference: sent as it stands, answered in that shape."""

import re
from typing import Any

import httpx
import pytest

from cortex_tui.demo.broker import Mosquitto
from cortex_tui.server import examples
from cortex_tui.states import ConnectionState
from tests.brokers import StartMosquitto, tls, users
from tests.certificates import Authority
from tests.counterparts import CONNACK_V3, StartCounterpart, only_version, within_tls
from tests.orchestrators import reaches
from tests.reference.conftest import HOST, PRODUCT, Reference, Resolves
from tests.waiting import until

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
(PENDING,) = examples.CONFIG_DOCUMENT["subscriptions"]
POLICY, _ = examples.SUBSCRIPTIONS["subscriptions"]


def shape(value: Any) -> Any:
    """Keys in their order, what is true, false or null, and otherwise the kind of each value."""
    if isinstance(value, dict):
        return [(key, shape(each)) for key, each in value.items()]
    if isinstance(value, list):
        return [shape(each) for each in value]
    if value is None or isinstance(value, bool):
        return value
    return "time" if isinstance(value, str) and TIME.fullmatch(value) else type(value).__name__


def without_extensions(answer: Any, example: Any) -> Any:
    """`answer` without the keys that `example` does not have."""
    if isinstance(answer, dict) and isinstance(example, dict):
        known = {key: each for key, each in answer.items() if key in example}
        return {key: without_extensions(each, example[key]) for key, each in known.items()}
    if isinstance(answer, list) and isinstance(example, list) and len(answer) == len(example):
        pairs = zip(answer, example, strict=True)
        return [without_extensions(each, beside) for each, beside in pairs]
    return answer


def assert_like(reference: Reference, response: httpx.Response, example: dict[str, Any]) -> Any:
    """A success that looks like `example`; the documented part of it."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    if reference.extensions:
        answer = without_extensions(answer, example)
    assert shape(answer) == shape(example)
    return answer


def assert_says(answer: Any, example: dict[str, Any]) -> None:
    """The words of a connection test; what there is to do about it may follow in the details."""
    assert answer["error"] == example["error"]
    assert answer["details"].startswith(example["details"])


async def test_a_configuration(reference: Reference, broker: Mosquitto) -> None:
    await reference.subscribe(PENDING)
    await reference.connect()
    await reference.receive(broker, PENDING["name"])

    answer = assert_like(reference, await reference.ask("GET"), examples.CONFIG_DOCUMENT)

    same = {"id", "product_id", "broker", "topics"}
    expected: dict[str, Any] = examples.CONFIG_DOCUMENT["mqtt_config"]
    assert {key: answer["mqtt_config"][key] for key in same} == {key: expected[key] for key in same}
    for key in ("id", "name", "topic", "enabled", "description", "actions"):
        assert answer["subscriptions"][0][key] == PENDING[key]
    assert answer["status"]["broker_info"] == {"version": "5.0", "max_qos": 2}


async def test_what_is_not_configured(reference: Reference) -> None:
    response = await reference.ask("GET")

    assert response.status_code == 200
    assert response.json() == examples.NOT_CONFIGURED


async def test_a_configuration_is_saved(reference: Reference, broker: Mosquitto) -> None:
    await reference.connect()

    response = await reference.ask("PUT", body=examples.CONFIG_DRAFT)

    answer = assert_like(reference, response, examples.CONFIG_SAVED)
    for key in ("status", "message", "requires_restart"):
        assert answer[key] == examples.CONFIG_SAVED[key]
    assert answer["mqtt_config"]["broker"] == examples.CONFIG_SAVED["mqtt_config"]["broker"]
    assert answer["mqtt_config"]["topics"] == examples.CONFIG_SAVED["mqtt_config"]["topics"]
    assert (await reference.ask("GET")).json()["mqtt_config"] == response.json()["mqtt_config"]


async def test_a_connection_is_tried(reference: Reference, broker: Mosquitto) -> None:
    response = await reference.ask("POST", "/test", examples.TEST)

    answer = assert_like(reference, response, examples.TEST_PASSED)
    assert_says(answer, examples.TEST_PASSED)


async def test_bad_credentials(
    reference: Reference, authority: Authority, counterpart: StartCounterpart, resolves: Resolves
) -> None:
    says_4 = only_version(4, CONNACK_V3 + b"\x04", CONNACK_V3 + b"\x01")
    resolves(counterpart(within_tls(authority.server("old", names=(HOST,)), says_4)))

    response = await reference.ask("POST", "/test", examples.TEST)

    answer = assert_like(reference, response, examples.TEST_BAD_CREDENTIALS)
    assert_says(answer, examples.TEST_BAD_CREDENTIALS)


async def test_not_authorized(
    reference: Reference,
    authority: Authority,
    start_mosquitto: StartMosquitto,
    resolves: Resolves,
    tmp_path: Any,
) -> None:
    identity = authority.server("guarded", names=(HOST,))
    guarded = start_mosquitto(*users(tmp_path, {"somebody": "else"}), *tls(identity))
    resolves(guarded.port)

    response = await reference.ask("POST", "/test", examples.TEST)

    answer = assert_like(reference, response, examples.TEST_NOT_AUTHORIZED)
    assert_says(answer, examples.TEST_NOT_AUTHORIZED)


async def test_subscriptions_are_listed(reference: Reference, broker: Mosquitto) -> None:
    await reference.subscribe(*examples.SUBSCRIPTIONS["subscriptions"])
    await reference.connect()
    names = [each["name"] for each in examples.SUBSCRIPTIONS["subscriptions"]]
    await reference.receive(broker, *names)

    response = await reference.ask("GET", "/subscriptions")

    answer = assert_like(reference, response, examples.SUBSCRIPTIONS)
    counted = {"stats", "created_at", "updated_at"}
    for ours, theirs in zip(
        answer["subscriptions"], examples.SUBSCRIPTIONS["subscriptions"], strict=True
    ):
        assert {key: ours[key] for key in ours.keys() - counted} == {
            key: theirs[key] for key in theirs.keys() - counted
        }


async def test_a_subscription_is_switched_off(reference: Reference, broker: Mosquitto) -> None:
    await reference.subscribe(POLICY)
    await reference.connect()
    await reference.receive(broker, POLICY["name"])
    (before,) = (await reference.ask("GET", "/subscriptions")).json()["subscriptions"]

    response = await reference.ask("PUT", "/subscriptions/1", examples.TOGGLE)

    assert_like(reference, response, examples.SUBSCRIPTION_UPDATED)
    after = response.json()["subscription"]
    assert after == {**before, "enabled": False, "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]


async def test_a_subscription_is_updated_in_full(reference: Reference) -> None:
    await reference.subscribe(POLICY)

    response = await reference.ask("PUT", "/subscriptions/1", examples.FULL_UPDATE)

    assert response.status_code == 200
    answer = response.json()
    assert answer["message"] == examples.SUBSCRIPTION_UPDATED["message"]
    after = answer["subscription"]
    assert {key: after[key] for key in examples.FULL_UPDATE} == examples.FULL_UPDATE
    assert (after["name"], after["topic"]) == (POLICY["name"], POLICY["topic"])


async def test_a_reconnect_is_triggered(reference: Reference, broker: Mosquitto) -> None:
    await reference.connect()

    response = await reference.ask("POST", "/reconnect")

    assert response.status_code == 200
    assert response.json() == examples.RECONNECTING


async def test_a_status_connected_and_disconnected(reference: Reference, broker: Mosquitto) -> None:
    await reference.subscribe(PENDING)
    await reference.connect()
    await reference.receive(broker, PENDING["name"])

    broker.stop()
    # The line is lost first; what is said then is that the next attempt fails.
    await reaches(reference.inside, PRODUCT, ConnectionState.RETRYING)
    lost = await reference.ask("GET", "/status")
    assert_like(reference, lost, examples.DISCONNECTED)

    broker.start()
    await reaches(reference.inside, PRODUCT, ConnectionState.CONNECTED)

    async def subscribed() -> bool:
        return (await reference.inside.status(PRODUCT)).subscribed_topics_count == 1

    await until(subscribed)
    assert_like(reference, await reference.ask("GET", "/status"), examples.CONNECTED)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PUT", "", examples.CONFIG_DRAFT),
        ("POST", "/test", examples.TEST),
        ("GET", "/subscriptions", None),
        ("PUT", "/subscriptions/1", examples.TOGGLE),
        ("POST", "/reconnect", None),
        ("GET", "/status", None),
    ],
)
async def test_a_product_that_does_not_exist(
    reference: Reference, method: str, path: str, body: Any
) -> None:
    await reference.inside.delete_product(PRODUCT)

    response = await reference.ask(method, path, body)

    assert response.status_code == 404
    assert response.json() == examples.PRODUCT_NOT_FOUND


async def test_a_subscription_that_does_not_exist(reference: Reference) -> None:
    response = await reference.ask("PUT", "/subscriptions/1", examples.TOGGLE)

    assert response.status_code == 404
    assert response.json() == examples.SUBSCRIPTION_NOT_FOUND


async def test_a_port_too_large(reference: Reference) -> None:
    broker = {**examples.CONFIG_DRAFT["broker"], "port": 70_000}

    response = await reference.ask("PUT", body={**examples.CONFIG_DRAFT, "broker": broker})

    assert response.status_code == 422
    assert response.json() == examples.PORT_TOO_LARGE


async def test_a_missing_host(reference: Reference) -> None:
    broker = {key: each for key, each in examples.CONFIG_DRAFT["broker"].items() if key != "host"}

    response = await reference.ask("PUT", body={**examples.CONFIG_DRAFT, "broker": broker})

    assert response.status_code == 422
    assert response.json() == examples.HOST_MISSING


async def test_what_nobody_foresaw(
    reference: Reference, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: int) -> None:
        raise RuntimeError("the cause")

    monkeypatch.setattr(reference.inside, "status", broken)

    response = await reference.ask("GET", "/status")

    assert response.status_code == 500
    assert response.json() == examples.INTERNAL_ERROR
    assert "the cause" in caplog.text
