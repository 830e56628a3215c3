"""The packets of a connection test: what is written, and what is made of anything that arrives."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_tui.local.probe import packets
from cortex_tui.local.probe.packets import V5, V311, Kind, NotMqtt, Packet, Property

READERS: list[Callable[[Packet], Any]] = [
    lambda packet: packets.connack(packet, V5),
    lambda packet: packets.connack(packet, V311),
    lambda packet: packets.suback(packet, V5),
    lambda packet: packets.suback(packet, V311),
    lambda packet: packets.message(packet, V5),
    lambda packet: packets.message(packet, V311),
    packets.acknowledgement,
    packets.disconnect,
]


@given(st.binary(max_size=300), st.integers(0, 15))
def test_whatever_arrives_is_read_or_is_not_mqtt(body: bytes, flags: int) -> None:
    for read in READERS:
        with suppress(NotMqtt):
            read(Packet(Kind.PUBLISH, flags, body))


@given(st.binary(min_size=1, max_size=6))
def test_a_header_is_complete_incomplete_or_not_mqtt(data: bytes) -> None:
    try:
        found = packets.header(data)
    except NotMqtt:
        return
    if found is None:
        assert len(data) < 5
    else:
        kind, flags, start, length = found
        assert kind << 4 | flags == data[0]
        assert 2 <= start <= 5
        assert length < 128 ** (start - 1)


def test_the_largest_length_is_announced_in_four_digits() -> None:
    assert packets.header(b"\x30\xff\xff\xff\x7f") == (Kind.PUBLISH, 0, 5, 268_435_455)


def test_connect_as_the_standard_shows_it() -> None:
    # MQTT 5 §3.1.2.12 and §3.1.3: name, level, flags, keep alive, properties, then the payload.
    full = "1014 00044d515454 05 c2 003c 00 0001 78 0001 75 0001 70"
    assert packets.connect("x", V5, "u", "p") == bytes.fromhex(full)
    assert packets.connect("x", V311) == bytes.fromhex("100d 00044d515454 04 02 003c 0001 78")


def test_a_password_never_goes_without_a_user_name() -> None:
    assert packets.connect("x", V311, None, "p") == packets.connect("x", V311)


@given(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=60),
    st.binary(max_size=300),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([V5, V311]),
)
def test_what_is_published_reads_the_same(
    topic: str, payload: bytes, qos: int, version: int
) -> None:
    written = packets.publish(7, topic, payload, qos, version)
    found = packets.header(written)
    assert found is not None
    kind, flags, start, length = found
    assert (kind, start + length) == (Kind.PUBLISH, len(written))
    message = packets.message(Packet(kind, flags, written[start:]), version)
    assert (message.topic, message.payload, message.qos) == (topic, payload, qos)
    assert message.packet_id == (7 if qos else 0)


@pytest.mark.parametrize(
    ("body", "version", "reason"),
    [
        ("0000", V311, 0),
        ("0005", V311, 135),
        ("0004", V5, 134),
        ("0001", V5, 132),
        ("0000", V5, 132),
        ("000000", V5, 0),
        ("008700", V5, 135),
        ("0009", V311, 9),
    ],
)
def test_reasons_of_a_connack(body: str, version: int, reason: int) -> None:
    answer = packets.connack(Packet(Kind.CONNACK, 0, bytes.fromhex(body)), version)
    assert answer.reasons == (reason,)


def test_properties_of_every_type() -> None:
    properties = (
        "24 01"  # a byte
        "21 000a"  # two bytes
        "27 00010000"  # four
        "12 0002 6869"  # text
        "26 0001 61 0001 62"  # a pair, passed over
        "16 0002 ffff"  # binary, passed over
    )
    body = bytes.fromhex(properties)
    packet = Packet(Kind.CONNACK, 0, bytes([0, 0, len(body)]) + body)
    assert packets.connack(packet, V5).properties == {
        Property.MAX_QOS: 1,
        Property.RECEIVE_MAXIMUM: 10,
        Property.MAX_PACKET_SIZE: 65_536,
        Property.ASSIGNED_CLIENT_ID: "hi",
    }
