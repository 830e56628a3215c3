"""One MQTT conversation over a wire: connect, subscribe, publish, and what the broker says."""

import time

from cortex_tui.local.causes import Unfinished
from cortex_tui.local.probe import packets
from cortex_tui.local.probe.clock import Clock
from cortex_tui.local.probe.packets import Answer, Kind, Message, NotMqtt, Packet
from cortex_tui.local.probe.wire import Wire

VERSION_TOPIC = "$SYS/broker/version"
"""Where some brokers keep the name and version of their software."""


class Dropped(Exception):
    """The broker ended the session with a DISCONNECT."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the broker ended the session")
        self.answer = answer


class Refused(Exception):
    """The broker did not take a message."""

    def __init__(self, reason: int) -> None:
        super().__init__("the broker did not take the message")
        self.reason = reason


class Session:
    """A clean session as `client_id`; `version` is `packets.V5` or `packets.V311`."""

    def __init__(self, wire: Wire, version: int, client_id: str) -> None:
        self.version = version
        self.client_id = client_id
        self._wire = wire
        self._buffer = b""
        self._last_id = 0

    def connect(self, username: str | None, password: str | None, clock: Clock) -> None:
        """Ask for a session."""
        request = packets.connect(self.client_id, self.version, username, password)
        self._wire.send(request, clock)

    def connected(self, clock: Clock) -> Answer:
        """The broker's CONNACK. Raises `NotMqtt`, `PeerClosed`, `OSError`, and `TimeoutError`
        (`Unfinished` where it came in part), after which it may be asked for again."""
        if not self._buffer:
            self._buffer = self._wire.receive(clock)
        if self._buffer[0] != Kind.CONNACK << 4:
            raise NotMqtt(self._buffer)
        try:
            return packets.connack(self._next(clock), self.version)
        except TimeoutError:
            raise Unfinished from None

    def subscribe(self, filters: tuple[str, ...], clock: Clock, answers: dict[str, Answer]) -> None:
        """Subscribe to each filter in a packet of its own, and put the SUBACKs into `answers`: a
        broker that breaks off at one of them leaves the others there."""
        asked = {self._new_id(): topic_filter for topic_filter in filters}
        for packet_id, topic_filter in asked.items():
            self._wire.send(packets.subscribe(packet_id, topic_filter, self.version), clock)
        while asked:
            packet = self._next(clock)
            if packet.kind is Kind.SUBACK:
                answer = packets.suback(packet, self.version)
                if topic_filter := asked.pop(answer.packet_id, ""):
                    answers[topic_filter] = answer
            else:
                self._serve(packet, clock)

    def round_trip(self, topic: str, payload: bytes, qos: int, clock: Clock) -> float:
        """Publish `payload` and wait until it comes back: the seconds that took.

        Raises `Refused`, and `TimeoutError` where it does not come back.
        """
        request = packets.publish(self._new_id(), topic, payload, qos, self.version)
        started = time.monotonic()
        self._wire.send(request, clock)
        while True:
            packet = self._next(clock)
            if packet.kind in (Kind.PUBACK, Kind.PUBREC):
                (reason,) = packets.acknowledgement(packet).reasons
                if reason >= packets.FAILURE:
                    raise Refused(reason)
            message = self._serve(packet, clock)
            if message and message.payload == payload:
                return time.monotonic() - started

    def software(self, clock: Clock) -> str | None:
        """What the broker calls itself, where it tells. A ping marks the end of its answer."""
        self._wire.send(
            packets.subscribe(self._new_id(), VERSION_TOPIC, self.version) + packets.PINGREQ, clock
        )
        while (packet := self._next(clock)).kind is not Kind.PINGRESP:
            message = self._serve(packet, clock)
            if message and message.topic == VERSION_TOPIC:
                return message.payload.decode(errors="replace")
        return None

    def close(self, clock: Clock) -> None:
        """Say goodbye."""
        self._wire.send(packets.DISCONNECT, clock)

    def _new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _next(self, clock: Clock) -> Packet:
        """The next packet; one that is too large to keep is passed over."""
        while True:
            found = packets.header(self._buffer)
            if found is None:
                self._buffer += self._wire.receive(clock)
                continue
            kind, flags, start, length = found
            if length > packets.MAX_PACKET:
                self._pass_over(start + length, clock)
                continue
            while len(self._buffer) < start + length:
                self._buffer += self._wire.receive(clock)
            body = self._buffer[start : start + length]
            self._buffer = self._buffer[start + length :]
            return Packet(kind, flags, body)

    def _pass_over(self, size: int, clock: Clock) -> None:
        while size > len(self._buffer):
            size -= len(self._buffer)
            self._buffer = self._wire.receive(clock)
        self._buffer = self._buffer[size:]

    def _serve(self, packet: Packet, clock: Clock) -> Message | None:
        """Do what the protocol asks for a packet; the message where it is one."""
        match packet.kind:
            case Kind.PUBLISH:
                message = packets.message(packet, self.version)
                if message.qos:
                    kind = Kind.PUBACK if message.qos == 1 else Kind.PUBREC
                    self._wire.send(packets.acknowledge(kind, message.packet_id), clock)
                return message
            case Kind.PUBREC | Kind.PUBREL:
                answer = packets.acknowledgement(packet)
                kind = Kind.PUBREL if packet.kind is Kind.PUBREC else Kind.PUBCOMP
                self._wire.send(packets.acknowledge(kind, answer.packet_id), clock)
            case Kind.DISCONNECT:
                raise Dropped(packets.disconnect(packet))
            case Kind.SUBACK | Kind.PUBACK | Kind.PUBCOMP | Kind.PINGRESP:
                pass
            case _:
                raise NotMqtt(bytes([packet.kind << 4 | packet.flags]) + packet.body)
        return None
