"""A paho client as a broker's configuration asks for it, and the properties it connects with.

paho connects, and speaks all of MQTT but for the messages that arrive, which `stream.py` reads;
when to read, write, retry and acknowledge is `connection.py`'s.
"""

from typing import Any

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cortex_tui.local import tls
from cortex_tui.local.stream import StreamingClient
from cortex_tui.models import BrokerConfig

DIAL_TIMEOUT = 10.0
"""Seconds for TCP and for TLS, each."""
SESSION_EXPIRY = 86_400
"""Seconds a broker keeps the session of a product without a clean one (MQTT 5 §3.1.2.11.2)."""


def new_client(
    broker: BrokerConfig, client_id: str, protocol: MQTTProtocolVersion
) -> StreamingClient:
    """A client that has not connected yet, without callbacks.

    Raises `tls.UnusableMaterial` where certificate or key cannot be used.
    """
    v5 = protocol is MQTTProtocolVersion.MQTTv5
    client = StreamingClient(
        CallbackAPIVersion.VERSION2,
        v5=v5,
        client_id=client_id,
        clean_session=None if v5 else broker.clean_session,
        protocol=protocol,
        reconnect_on_failure=False,
    )
    client.connect_timeout = DIAL_TIMEOUT
    if broker.username is not None:
        password = broker.password.get_secret_value() if broker.password else None
        client.username_pw_set(broker.username, password)
    if broker.use_tls:
        client.tls_set_context(tls.context(broker))
    # With this callback paho leaves the writing to us: many packets, one pass.
    client.on_socket_register_write = lambda *_: None
    return client


def session_options(broker: BrokerConfig, protocol: MQTTProtocolVersion) -> dict[str, Any]:
    """What `Client.connect` is told of the session; MQTT 3.1.1 has it in the client."""
    if protocol is not MQTTProtocolVersion.MQTTv5:
        return {}
    # No property that is not needed: some brokers for 3.1.1 stall on them, without an answer.
    kept = None if broker.clean_session else _expiry(PacketTypes.CONNECT, SESSION_EXPIRY)
    return {"clean_start": broker.clean_session, "properties": kept}


def say_good_bye(client: StreamingClient, *, forget_session: bool) -> None:
    """Send DISCONNECT; with `forget_session` the broker drops the session (MQTT 5 §3.14.2.2.2)."""
    v5 = client.protocol is MQTTProtocolVersion.MQTTv5
    ended = _expiry(PacketTypes.DISCONNECT, 0) if forget_session and v5 else None
    client.disconnect(properties=ended)
    client.loop_write()


def _expiry(packet_type: int, seconds: int) -> Properties:
    properties = Properties(packet_type)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = seconds
    return properties
