"""What a broker sends, split: messages read in one pass, all else left to paho as it came."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cortex_tui.events import MAX_PAYLOAD
from cortex_tui.local import splitter as room
from cortex_tui.local.splitter import Malformed, Publish, Splitter

PINGRESP = b"\xd0\x00"
SUBACK = b"\x90\x03\x00\x01\x01"
V5, V311 = True, False


class Sender(Client):
    """Writes PUBLISH packets as paho does, the other side of what is read here."""

    def __init__(self, *, v5: bool) -> None:
        protocol = MQTTProtocolVersion.MQTTv5 if v5 else MQTTProtocolVersion.MQTTv311
        super().__init__(CallbackAPIVersion.VERSION2, protocol=protocol)
        self.packet = b""

    def _packet_queue(self, command: int, packet: bytes | bytearray, *_: object) -> int:  # type: ignore[override]
        self.packet = bytes(packet)
        return 0

    def publish_packet(
        self,
        topic: str,
        payload: bytes,
        qos: int = 1,
        dup: bool = False,
        mid: int = 7,
        properties: Properties | None = None,
    ) -> bytes:
        self._sock = object()  # type: ignore[assignment] # it only wants to see one
        self._send_publish(mid, topic.encode(), payload, qos, False, dup, properties=properties)
        self._sock = None
        return self.packet


def split(pieces: Iterable[bytes], *, v5: bool) -> tuple[list[Publish], bytes]:
    splitter = Splitter(v5=v5)
    return [found for piece in pieces for found in splitter.feed(piece)], bytes(splitter.others)


def packet(topic: str, payload: bytes, qos: int, dup: bool, *, v5: bool) -> bytes:
    properties = None
    if v5:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = "application/json" * 10  # a length of two bytes
        properties.UserProperty = ("a", "b")
    return Sender(v5=v5).publish_packet(topic, payload, qos, dup, properties=properties)


def lengths(data: bytes, sizes: Iterable[int]) -> Iterable[bytes]:
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


@pytest.mark.parametrize("v5", [V5, V311])
@pytest.mark.parametrize(("qos", "dup"), [(0, False), (1, False), (1, True), (2, False), (2, True)])
def test_every_quality_of_service_and_both_versions(v5: bool, qos: int, dup: bool) -> None:
    sent = packet("a/ü", b'{"n": 1}', qos, dup, v5=v5)
    [message], others = split([sent], v5=v5)
    assert (message.topic, message.payload, message.size) == ("a/ü", b'{"n": 1}', 8)
    assert (message.qos, message.dup) == (qos, dup)
    assert message.packet_id == (b"\x00\x07" if qos else b"")
    assert others == b""


@pytest.mark.parametrize("v5", [V5, V311])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_fragmented_at_every_byte(v5: bool, size: int) -> None:
    data = (
        SUBACK
        + packet("a/b", b"x" * 300, 1, False, v5=v5)
        + PINGRESP
        + packet("c", b"", 2, True, v5=v5)
        + packet("d/e", b"y" * 20_000, 0, False, v5=v5)
        + PINGRESP
    )
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    found, others = split(pieces, v5=v5)
    assert [(m.topic, m.size, m.qos) for m in found] == [
        ("a/b", 300, 1),
        ("c", 0, 2),
        ("d/e", 20_000, 0),
    ]
    assert others == SUBACK + PINGRESP + PINGRESP


@given(
    messages=st.lists(
        st.tuples(st.text(min_size=1, max_size=5), st.binary(max_size=300), st.integers(0, 2)),
        max_size=6,
    ),
    cuts=st.lists(st.integers(0, 400), max_size=12),
    v5=st.booleans(),
)
def test_however_it_is_cut_it_is_the_same(
    messages: list[tuple[str, bytes, int]], cuts: list[int], v5: bool
) -> None:
    messages = [m for m in messages if not set(m[0]) & set("+#\0")]
    messages = [m for m in messages if m[0].isprintable()]
    data = b"".join(
        packet(topic, payload, qos, False, v5=v5) + PINGRESP for topic, payload, qos in messages
    )
    found, others = split(lengths(data, cuts), v5=v5)
    assert [(m.topic, m.payload, m.qos) for m in found] == messages
    assert others == PINGRESP * len(messages)


@given(st.binary(max_size=200), st.booleans())
def test_nonsense_is_malformed_and_nothing_else(data: bytes, v5: bool) -> None:
    try:
        found, others = split([data], v5=v5)
    except Malformed:
        return
    assert len(others) + sum(m.size for m in found) <= len(data)


@pytest.mark.parametrize("v5", [V5, V311])
@pytest.mark.parametrize("rest", [0, 1, MAX_PAYLOAD])
def test_a_message_that_is_too_large_is_cut_and_told_when_it_is_over(v5: bool, rest: int) -> None:
    size = MAX_PAYLOAD + room.MAX_HEAD + rest
    data = packet("big", b"x" * size, 1, False, v5=v5) + packet("next", b"1", 1, False, v5=v5)
    splitter = Splitter(v5=v5)
    found = splitter.feed(data[: size - 10])
    assert found == []
    for at in range(size - 10, len(data), 7):
        found += splitter.feed(data[at : at + 7])
    assert [(m.topic, m.size, len(m.payload)) for m in found] == [
        ("big", size, MAX_PAYLOAD),
        ("next", 1, 1),
    ]


def test_the_largest_message_that_can_be_announced_does_not_fill_memory() -> None:
    splitter = Splitter(v5=False)
    splitter.feed(b"\x32\xff\xff\xff\x7f" + b"\x00\x01t" + b"\x00\x07")
    left = 268_435_455 - 5
    piece = b"x" * 1_048_576
    found: list[Publish] = []
    while left > 0:
        assert found == []
        found = splitter.feed(piece[:left])
        left -= len(piece)
        assert len(splitter._rest) <= 2 * (MAX_PAYLOAD + room.MAX_HEAD)
    [message] = found
    assert (message.topic, message.size) == ("t", 268_435_450)
    assert len(message.payload) == MAX_PAYLOAD


@pytest.mark.parametrize(
    "data",
    [
        b"\x36\x05\x00\x01tab",  # quality of service 3
        b"\x30\x00",  # no topic
        b"\x30\x02\x00\x00",  # an empty one
        b"\x30\x04\x00\x09tt",  # longer than the packet
        b"\x32\x03\x00\x01t",  # no room for the packet's id
        b"\x30\x04\x00\x02\xff\xfe",  # no UTF-8
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x90\xff\xff\xff\x7f",  # a SUBACK of 256 MiB
    ],
)
def test_what_no_broker_sends(data: bytes) -> None:
    with pytest.raises(Malformed):
        split([data, b"x" * 10], v5=False)


def test_broken_properties() -> None:
    with pytest.raises(Malformed):
        split([b"\x30\x04\x00\x01t\x09"], v5=True)
    with pytest.raises(Malformed):
        split([b"\x30\x08\x00\x01t\xff\xff\xff\xff\xff"], v5=True)


def test_properties_beyond_all_measure_leave_the_next_message_alone() -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for _ in range(20):
        properties.UserProperty = ("key", "x" * 65_000)
    data = Sender(v5=True).publish_packet("big", b"1", properties=properties)
    data += packet("next", b"2", 1, False, v5=True)
    found, _ = split((data[at : at + 100_000] for at in range(0, len(data), 100_000)), v5=True)
    assert [(m.topic, m.payload, m.size, m.packet_id) for m in found] == [
        ("big", b"", 1, b"\x00\x07"),
        ("next", b"2", 1, b"\x00\x07"),
    ]


def test_many_topics_are_not_all_remembered() -> None:
    splitter = Splitter(v5=False)
    sender = Sender(v5=False)
    for number in itertools.islice(itertools.count(), 3_000):
        splitter.feed(sender.publish_packet(f"t/{number}", b"1"))
    assert len(splitter._topics) <= 1_024
