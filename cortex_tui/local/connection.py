"""One product's connection to its broker: it connects, subscribes, and says how it is doing.

Everything here runs on the network thread, but for `Connection._dial`, which blocks, and for
`Connection.link`, an immutable snapshot that anybody may read.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cortex_tui.diagnosis import Stage
from cortex_tui.local.causes import Cause, PeerClosed, explain, explain_loss
from cortex_tui.local.client import new_client, say_good_bye, session_options
from cortex_tui.local.closer_look import CloserLook
from cortex_tui.local.link import Link, Plan
from cortex_tui.local.listening import Listening
from cortex_tui.local.negotiation import Negotiation
from cortex_tui.local.network import Network, Timer
from cortex_tui.local.publishing import OnPublished, Publishing
from cortex_tui.local.retries import retry_delay
from cortex_tui.local.splitter import Malformed, Publish
from cortex_tui.local.stream import Stream, StreamingClient
from cortex_tui.models import BrokerConfig, BrokerInfo
from cortex_tui.states import ConnectionState

log = logging.getLogger(__name__)

CONNACK_TIMEOUT = 10.0
"""Seconds from CONNECT to CONNACK; paho itself would wait for the keep alive."""
LONGEST_DELAY = 60.0
"""Seconds before a retry, at most."""
STABLE_AFTER = 30.0
"""Seconds a connection must last before its end counts as a new trouble and not as the old one:
two clients that take each other's session over would otherwise do so every second for ever."""
UNSTABLE_TIMES = 2
"""Connections that ended before they were stable, before the client id is suspected."""

_RECEIVED = (b"", b"\x40\x02", b"\x50\x02")
"""How the acknowledgement of a message begins: none, PUBACK, PUBREC (MQTT 5 §3.4, §3.5)."""
_HUNG_UP = "It was closed from here, for a reconnect or a change of the product"
_NO_CONNECTION: dict[str, Any] = {
    "granted": frozenset(),
    "refused": (),
    "broker_info": None,
    "ping_ms": None,
}
"""What a link says while there is none."""
_NOTHING_WRONG: dict[str, Any] = {"error": None, "hint": None, "field": None}


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Messages that came over one connection together, not yet acknowledged."""

    connection: "Connection"
    stream: Stream
    """What they came through; an acknowledgement on another one would mean something else."""
    at: float
    """Seconds since 1970."""
    messages: list[Publish]


class Connection:
    """Connects as its plan says until it is told to stop."""

    def __init__(
        self,
        product_id: int,
        network: Network,
        take: Callable[[Arrivals], None],
        on_change: Callable[[int], None],
    ) -> None:
        """`take` is given what arrives; `on_change` is told the product when `link` changes."""
        self.product_id = product_id
        # Until the network thread has heard whether to start it or not to.
        self.link = Link(ConnectionState.CONNECTING, datetime.now(UTC))
        self._network = network
        self._take = take
        self._on_change = on_change
        self._plan: Plan | None = None
        self._successor: Plan | None = None
        """What to start once the broker has answered the present attempt."""
        self._closer: CloserLook | None = None
        self._client: StreamingClient | None = None
        self._dialling: set[StreamingClient] = set()
        """Clients whose socket belongs to a dialer; they are closed when they come back."""
        self._negotiation = Negotiation()
        self._failures = 0
        self._cause: Cause | None = None
        self._listening = Listening()
        self._publishing = Publishing()
        self._session: tuple[str, str] | None = None
        self._retry: Timer | None = None
        self._deadline: Timer | None = None
        self._tick: Timer | None = None

    # -- what it is told ----------------------------------------------------------------------

    def start(self, plan: Plan) -> None:
        """Connect anew as `plan` says, whatever it is doing now."""
        if self._plan and self._deadline and plan.session == self._plan.session:
            # A CONNECT that waits for its answer, and is closed on, may reach the broker after the
            # next one and take the session over from it.
            self._successor = plan
            return
        self._successor = None
        self._hang_up()
        self._negotiation = Negotiation()
        self._plan = plan
        self._closer = CloserLook(self._network, plan.broker, partial(self._explained, plan.broker))
        self._failures = 0
        self._set(
            state=ConnectionState.CONNECTING,
            client_id=plan.client_id,
            version=plan.version,
            attempt=0,
            **_NOTHING_WRONG,
        )
        self._attempt()

    def stop(self, state: ConnectionState, *, forget_session: bool = False) -> None:
        """Disconnect and stay so, in `state`; with `forget_session` the broker's session ends."""
        self._successor = None
        self._hang_up(forget_session=forget_session)
        self._plan = None
        self._set(state=state, version=None, attempt=0, **_NOTHING_WRONG)

    def subscribe(self, filters: frozenset[str], qos: int) -> None:
        """Listen to `filters` from now on: only the difference goes to the broker."""
        if self._plan is None:
            return
        self._plan = replace(self._plan, filters=filters, qos=qos)
        if self._successor is not None:
            self._successor = replace(self._successor, filters=filters, qos=qos)
        if self.link.state is ConnectionState.CONNECTED:
            self._listen()

    def acknowledge(self, arrivals: Arrivals) -> None:
        """Tell the broker that these messages are dealt with."""
        client = self._client
        if client is None or client.stream is not arrivals.stream:
            return  # that connection ended; the broker sends them again
        arrivals.stream.send(
            b"".join([_RECEIVED[each.qos] + each.packet_id for each in arrivals.messages])
        )
        arrivals.stream.flush()
        if arrivals.stream.unsent:
            self._flush()

    def publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, done: OnPublished
    ) -> None:
        """Publish; `done` is told, on the network thread, nothing once the broker has it (QoS 0:
        once it is sent), or why it has not."""
        client = self._client
        if client is None or self.link.state is not ConnectionState.CONNECTED:
            done("there is no connection to the broker")
            return
        self._publishing.expect(client.publish(topic, payload, qos, retain), done)
        self._flush()

    def interrupt(self, cause: Cause, stream: Stream | None = None) -> None:
        """Drop the connection because of trouble on this side, unless it is no longer the one that
        `stream` belongs to; what is unacknowledged comes again with the next one."""
        if stream is not None and (self._client is None or self._client.stream is not stream):
            return
        self._hang_up()
        self._failed(cause)

    # -- connecting ---------------------------------------------------------------------------

    def _attempt(self) -> None:
        self._retry = None
        self._set(
            state=ConnectionState.CONNECTING, attempt=self.link.attempt + 1, next_attempt_at=None
        )
        self._dial_soon()

    def _dial_soon(self) -> None:
        assert self._plan is not None
        self._cause = None
        try:
            client = self._client or self._new_client(self._plan)
        except (OSError, ValueError) as error:
            self._failed(explain(error, self._plan.broker))
            return
        self._client = client
        self._dialling.add(client)
        options = session_options(self._plan.broker, self._negotiation.protocol)
        self._network.dial(partial(self._dial, client, self._plan.broker, options))

    def _dial(self, client: StreamingClient, broker: BrokerConfig, options: dict[str, Any]) -> None:
        failure: Exception | None = None
        try:
            client.connect(broker.host, broker.port, broker.keep_alive, **options)
        except Exception as error:
            failure = error
        self._network.call(partial(self._dialled, client, failure))

    def _dialled(self, client: StreamingClient, failure: Exception | None) -> None:
        self._dialling.discard(client)
        if client is not self._client or self._plan is None:
            self._close(client)
        elif failure is not None:
            self._not_connected(explain(failure, self._plan.broker))
        else:
            assert client.stream is not None
            # CONNECT goes out in a later round, so that one that is already superseded never does.
            self._network.watch(client.stream.real, self._ready, write=True)
            self._deadline = self._network.later(CONNACK_TIMEOUT, self._no_connack)
            self._tick = self._network.later(1.0, self._every_second)

    def _new_client(self, plan: Plan) -> StreamingClient:
        client = new_client(plan.broker, plan.client_id, self._negotiation.protocol)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_socket_close = self._on_socket_close
        return client

    def _make_way(self) -> None:
        """The broker answered, or will not: go on to what was wanted meanwhile."""
        if self._successor is not None:
            self.start(self._successor)

    def _no_connack(self) -> None:
        self._deadline = None
        if self._negotiation.falls_back(self._cause):
            self._fall_back()
            return
        self._hang_up()
        self._not_connected(explain(TimeoutError(), self._running.broker, Stage.CONNECT))

    # -- paho's callbacks ---------------------------------------------------------------------

    def _on_connect(
        self,
        client: Client,
        _userdata: Any,
        flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if client is not self._client:
            return
        if reason.is_failure:
            # A disconnect follows, which knows less.
            self._cause = explain(reason.value, self._running.broker)
            return
        plan = self._running
        self._negotiation.accepted()
        self._listening.connected(
            session_present=flags.session_present and plan.session == self._session
        )
        self._session = plan.session
        self._cancel_timers(keep_tick=True)
        self._set(
            state=ConnectionState.CONNECTED,
            attempt=0,
            **_NOTHING_WRONG,
            last_connected_at=datetime.now(UTC),
            broker_info=BrokerInfo(
                version=self._negotiation.version,
                max_qos=getattr(properties, "MaximumQoS", 2),
            ),
        )
        self._listen(anew=True)
        self._network.call(self._make_way)

    def _on_disconnect(
        self,
        client: Client,
        _userdata: Any,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if client is not self._client or self._plan is None:
            return
        connected = self.link.state is ConnectionState.CONNECTED
        if not connected and self._negotiation.falls_back(self._cause):
            self._fall_back()
            return
        if flags.is_disconnect_packet_from_server:
            self._cause = explain(reason.value, self._plan.broker)
        elif connected:
            self._cause = explain_loss(
                reason.value,
                self._plan.broker,
                self._plan.client_id,
                again=self._failures >= UNSTABLE_TIMES,
            )
        if self._cause is not None:
            self._failed(self._cause)
        else:
            self._not_connected(explain(PeerClosed(), self._plan.broker, Stage.CONNECT))

    def _fall_back(self) -> None:
        self._hang_up()
        self._negotiation.fall_back()
        self._dial_soon()

    def _on_subscribe(
        self,
        client: Client,
        _userdata: Any,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if client is self._client:
            self._listening.answered(mid, reasons, self._running.filters)
            self._set(granted=self._listening.granted, refused=self._listening.refused)

    def _on_publish(
        self,
        _client: Client,
        _userdata: Any,
        mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._publishing.answered(mid, reason)

    def _on_socket_close(self, _client: Client, _userdata: Any, sock: Any) -> None:
        self._network.unwatch(sock.real)

    # -- while it runs ------------------------------------------------------------------------

    def _ready(self, *, read: bool, write: bool) -> None:
        client = self._client
        if client is None or client.stream is None:
            return
        try:
            if read:
                self._read(client, client.stream)
            self._flush()
        except Malformed as error:
            self._not_understood(
                Cause(
                    Stage.CONNECT,
                    f"{self._running.broker.address} sent {error}",
                    "Check that this is an MQTT broker, and its version",
                )
            )
        except Exception as error:
            log.exception("product %d: the connection failed on our side", self.product_id)
            self.interrupt(explain(error, self._running.broker))

    def _read(self, client: StreamingClient, stream: Stream) -> None:
        messages = stream.receive()
        if self.link.state is ConnectionState.CONNECTED:
            self._arrived(stream, messages)
            messages = []
        while stream.for_paho and client.loop_read() is MQTTErrorCode.MQTT_ERR_SUCCESS:
            pass
        if messages and client.socket() is not None:
            if self.link.state is not ConnectionState.CONNECTED:
                raise Malformed("messages before it accepted the connection")
            self._arrived(stream, messages)

    def _arrived(self, stream: Stream, messages: list[Publish]) -> None:
        if messages:
            self._take(Arrivals(self, stream, time.time(), messages))

    def _flush(self) -> None:
        """Send what waits to be sent, and ask to be called when more can be."""
        client = self._client
        if client is None or client.socket() is None or client.stream is None:
            return
        client.loop_write()
        client.stream.flush()
        if client.socket() is not None:
            self._network.watch(client.stream.real, self._ready, write=client.stream.unsent)

    def _every_second(self) -> None:
        # paho sends its pings, and misses their answers, only when it is asked.
        if self._client is not None and self._client.socket() is not None:
            self._tick = self._network.later(1.0, self._every_second)
            if self.link.ping_ms != (ping_ms := self._client.ping_ms):
                self._set(ping_ms=ping_ms)
            self._client.loop_misc()
            self._flush()

    def _listen(self, *, anew: bool = False) -> None:
        """Make the broker's subscriptions those of the plan; `anew` asks for all of them."""
        assert self._client is not None
        plan = self._running
        self._listening.want(self._client, plan.filters, plan.qos, anew=anew)
        self._set(granted=self._listening.granted, refused=self._listening.refused)
        self._flush()

    # -- ending -------------------------------------------------------------------------------

    def _not_connected(self, cause: Cause) -> None:
        """Fail before the broker gave its answer, for a reason that a test may know better."""
        self._failed(self._closer.at(cause) if self._closer else cause)

    def _not_understood(self, cause: Cause) -> None:
        """Fail for what the other side sent: before its answer a test may find out what it is."""
        if self.link.state is ConnectionState.CONNECTED:
            self.interrupt(cause)
        else:
            self._hang_up()
            self._not_connected(cause)

    def _explained(self, broker: BrokerConfig, first: Cause, better: Cause) -> None:
        if self._plan is None or self._plan.broker is not broker:
            return
        if self.link.error != first.headline:
            return
        self._set(**_wrong(better))
        if better.latch and self.link.state is ConnectionState.RETRYING:
            self._cancel_timers()
            self._set(state=ConnectionState.LATCHED, next_attempt_at=None)

    def _failed(self, cause: Cause) -> None:
        self._cancel_timers()
        self._drop_pending()
        self._network.call(self._make_way)
        now = datetime.now(UTC)
        was_connected = self.link.state is ConnectionState.CONNECTED
        if was_connected and self.link.last_connected_at is not None:
            stable = (now - self.link.last_connected_at).total_seconds() >= STABLE_AFTER
            self._failures = 0 if stable else self._failures
        self._failures += 1
        if self._negotiation.begins_anew():
            self._client = None
        wrong = {**_wrong(cause), **_NO_CONNECTION}
        ended: dict[str, Any] = {}
        if was_connected:
            ended = {"last_disconnected_at": now, "last_disconnect_reason": wrong["error"]}
        if cause.latch:
            self._set(state=ConnectionState.LATCHED, **wrong, **ended)
            return
        chance = random.random()  # noqa: S311 - no secret
        delay = retry_delay(self._failures - 1, chance, longest=LONGEST_DELAY)
        self._retry = self._network.later(delay, self._attempt)
        next_attempt = now + timedelta(seconds=delay)
        self._set(state=ConnectionState.RETRYING, next_attempt_at=next_attempt, **wrong, **ended)

    def _hang_up(self, *, forget_session: bool = False) -> None:
        self._cancel_timers()
        self._drop_pending()
        client, self._client = self._client, None
        if client is not None and client not in self._dialling:
            self._close(client, forget_session=forget_session)
        if self.link.state is ConnectionState.CONNECTED:
            self.link = replace(
                self.link, last_disconnected_at=datetime.now(UTC), last_disconnect_reason=_HUNG_UP
            )
        self.link = replace(self.link, next_attempt_at=None, **_NO_CONNECTION)

    def _drop_pending(self) -> None:
        self._listening.disconnected()
        self._publishing.disconnected()

    def _close(self, client: StreamingClient, *, forget_session: bool = False) -> None:
        if client.socket() is None:
            return
        client.on_disconnect = None
        if client.is_connected():
            say_good_bye(client, forget_session=forget_session)
        # No good-bye where the broker does not read, nor before CONNACK: with it would go the
        # CONNECT that still waits, which takes the session over from the next connection.
        if client.socket() is not None and client.stream is not None:
            self._network.unwatch(client.stream.real)
            client.on_socket_close = None  # paho would tell it once more, whenever it is collected
            client.stream.abandon()

    def _cancel_timers(self, *, keep_tick: bool = False) -> None:
        for timer in (self._retry, self._deadline, None if keep_tick else self._tick):
            if timer is not None:
                timer.cancel()
        self._deadline = None

    @property
    def _running(self) -> Plan:
        assert self._plan is not None
        return self._plan

    def _set(self, **changes: Any) -> None:
        self.link = replace(self.link, **changes, updated_at=datetime.now(UTC))
        self._on_change(self.product_id)


def _wrong(cause: Cause) -> dict[str, Any]:
    """What a link says of a failure."""
    return {"error": cause.headline, "hint": cause.advice, "field": cause.field}
