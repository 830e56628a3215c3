"""Real brokers for tests, each on a free loopback port and gone when the test is over.

Fixtures:

`broker`
    A broker that takes everybody: mosquitto, or amqtt where that is not installed. Ask
    `broker.sharing` before a test relies on shared subscriptions or MQTT 5.
`start_mosquitto`
    `start_mosquitto(*lines)` starts a mosquitto whose configuration has these lines: nobody may
    connect unless they say so. It logs every packet, so that
    `await until(lambda: "Received UNSUBSCRIBE" in broker.log)` works. Call it as often as needed.
`authority`
    A certificate authority (`tests.certificates`), made once: `authority.cert`,
    `authority.server("name", names=…, days=…)`, `authority.client("name")`.

Lines for `start_mosquitto`, to be combined:

`ANONYMOUS`
    Everybody may connect.
`users(folder, {"alice": "secret"})`
    Only these, with these passwords.
`acl(folder, "user alice", "topic read v3/#")`
    What they may read and write. Mosquitto grants every SUBACK and then delivers nothing.
`tls(identity)`, `tls(identity, clients=authority)`
    TLS; with `clients` a certificate from that authority is required.

`CORTEX_REQUIRE_MOSQUITTO=1` turns "mosquitto is not installed" from a skip into a failure.
`publish(broker, topic, payload)` sends one message and returns once the broker has it.
"""

import os
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import paho.mqtt.publish
import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from cortex_tui.demo.broker import Amqtt, Broker, Mosquitto, mosquitto_program
from tests.certificates import Authority, Identity

ANONYMOUS = ["allow_anonymous true"]

StartMosquitto = Callable[..., Mosquitto]


def require_mosquitto() -> None:
    """Skip the test without mosquitto; fail it where one is required."""
    if mosquitto_program() is None:
        absent = pytest.fail if os.environ.get("CORTEX_REQUIRE_MOSQUITTO") == "1" else pytest.skip
        absent("mosquitto is not installed")


@pytest.fixture
def broker() -> Iterator[Broker]:
    if os.environ.get("CORTEX_REQUIRE_MOSQUITTO") == "1":
        require_mosquitto()
    with Mosquitto(log_packets=True) if mosquitto_program() else Amqtt() as started:
        yield started


@pytest.fixture
def start_mosquitto() -> Iterator[StartMosquitto]:
    require_mosquitto()
    with ExitStack() as running:

        def start(*lines: str) -> Mosquitto:
            return running.enter_context(Mosquitto(lines, log_packets=True))

        yield start


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def users(folder: Path, passwords: Mapping[str, str]) -> list[str]:
    path = folder / "passwords"
    path.write_text("".join(f"{name}:{password}\n" for name, password in passwords.items()))
    subprocess.run(["mosquitto_passwd", "-U", path], check=True, capture_output=True)
    return ["allow_anonymous false", f"password_file {path}"]


def acl(folder: Path, *rules: str) -> list[str]:
    path = folder / "acl"
    path.write_text("\n".join(rules) + "\n")
    path.chmod(0o700)  # later versions complain about a file that others can read
    return [f"acl_file {path}"]


def tls(server: Identity, *, clients: Authority | None = None) -> list[str]:
    lines = [f"certfile {server.cert}", f"keyfile {server.key}"]
    if clients is not None:
        lines += [f"cafile {clients.cert}", "require_certificate true"]
    return lines


def publish(
    broker: Broker,
    topic: str,
    payload: str | bytes,
    *,
    qos: int = 1,
    user: tuple[str, str] | None = None,
    ca: Path | None = None,
    tls_unverified: bool = False,
) -> None:
    unverified: Any = {"ca_certs": None, "cert_reqs": ssl.CERT_NONE, "insecure": True}
    paho.mqtt.publish.single(
        topic,
        payload,
        qos=qos,
        hostname="localhost" if ca else broker.host,
        port=broker.port,
        auth={"username": user[0], "password": user[1]} if user else None,
        tls={"ca_certs": str(ca)} if ca else unverified if tls_unverified else None,
        protocol=MQTTProtocolVersion.MQTTv311,
    )
