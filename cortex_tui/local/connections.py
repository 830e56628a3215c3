"""Every product's connection, run as the product is stored: what the backend tells the network.

Methods may be called from any thread, and tell the network thread what to do; those that read the
database block.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from pydantic import SecretStr

from cortex_tui.diagnosis import Stage
from cortex_tui.differences import differences
from cortex_tui.local.causes import Cause
from cortex_tui.local.connection import Connection
from cortex_tui.local.link import Plan
from cortex_tui.local.network import Network
from cortex_tui.local.processing import Processing
from cortex_tui.local.rows import Overview
from cortex_tui.local.store import Store
from cortex_tui.local.targets import TargetFailed
from cortex_tui.local.vault import VaultError
from cortex_tui.models import ConnectionStatus, MqttConfig, TopicsConfig
from cortex_tui.states import ConnectionState
from cortex_tui.topics import broker_filters

CLOSE_TIMEOUT = 1.0
"""Seconds the good-byes to the brokers may take."""
SETTLE_TIMEOUT = 1.0
"""Seconds the network thread is given to begin what it was told."""
REMOVE_TIMEOUT = 10.0
"""Seconds for the batch that is being committed while its product is deleted."""


Secrets = dict[str, SecretStr | None]


@dataclass(frozen=True)
class _Run:
    """A configuration, with the secrets it is run with."""

    config: MqttConfig
    secrets: Secrets = field(default_factory=dict)


class Connections:
    """The connections of one orchestrator, by product."""

    def __init__(
        self, store: Store, processing: Processing, on_change: Callable[[int], None]
    ) -> None:
        """`on_change` is told a product whose connection changed."""
        self._store = store
        self._processing = processing
        self._pipeline = processing.pipeline
        self._on_change = on_change
        self._network = Network(self._pipeline.run)
        self._connections: dict[int, Connection] = {}
        self._running: dict[int, _Run] = {}
        """What each product was last told to run with."""
        self._waiting: dict[int, tuple[int | None, int | None, tuple[str, ...]]] = {}
        """By product the versions that run and are stored, and the fields in which they differ."""

    def stop(self) -> None:
        """Disconnect all; they do not come back."""
        for connection in self._connections.values():
            self._network.call(partial(connection.stop, ConnectionState.DISCONNECTED))

    def close(self) -> None:
        """End the network thread."""
        self._network.close(CLOSE_TIMEOUT)

    def has(self, product_id: int) -> bool:
        """Whether the product was ever applied."""
        return product_id in self._connections

    def runs(self, product_id: int) -> bool:
        """Whether it is told to be connected with a configuration, whatever came of it."""
        connection = self._connections.get(product_id)
        return connection is not None and connection.link.version is not None

    def remove(self, product_id: int) -> None:
        """Disconnect a product for good, and wait until nothing more of it can be written."""
        self._running.pop(product_id, None)
        self._waiting.pop(product_id, None)
        if connection := self._connections.pop(product_id, None):
            stop = partial(connection.stop, ConnectionState.DISABLED, forget_session=True)
            self._network.call(stop)
        self._network.call(partial(self._pipeline.route, product_id, None))
        self._network.finish(REMOVE_TIMEOUT)

    def apply(self, product_id: int) -> None:
        """Run a product's connection as it is stored now: connect anew, or stop."""
        overview = self._store.overview(product_id)
        if overview.config is None:
            return
        connection = self._connections.get(product_id)
        if connection is None:
            connection = Connection(product_id, self._network, self._pipeline.take, self._on_change)
            self._connections[product_id] = connection
        if not overview.product.enabled:
            self._network.call(partial(connection.stop, ConnectionState.DISABLED))
            return
        run, problem = _Run(overview.config), None
        try:
            run = _Run(overview.config, self._secrets(product_id))
        except VaultError as error:
            problem = Cause(Stage.CONNECT, error.message, error.hint, latch=True)
        self._running[product_id] = run
        if problem is not None:
            self._network.call(partial(connection.interrupt, problem))
        else:
            self._network.call(partial(connection.start, self._plan(run)))

    def settle(self) -> None:
        """Wait until what was told so far has begun, within reason."""
        self._network.finish(SETTLE_TIMEOUT)

    def apply_subscriptions(self, product_id: int) -> None:
        """Listen to what is enabled now, over the connection that runs and by its configuration,
        which may be older than the stored one."""
        running = self._running.get(product_id)
        if running is None:
            return
        topics = running.config.topics
        filters = self._route(product_id, topics)
        subscribe = self._connections[product_id].subscribe
        self._network.call(partial(subscribe, filters, topics.qos))

    def _secrets(self, product_id: int) -> Secrets:
        """Those that are stored. Raises `VaultError`."""
        return {
            "password": self._store.password(product_id),
            "client_key": self._store.client_key(product_id),
        }

    def _plan(self, run: _Run) -> Plan:
        config, broker = run.config, run.config.broker
        return Plan(
            broker=broker.model_copy(update=run.secrets),
            client_id=broker.client_id or f"cortex-{config.product_id}-{self._store.instance_id}",
            version=config.version or 0,
            qos=config.topics.qos,
            filters=self._route(config.product_id, config.topics),
        )

    def _route(self, product_id: int, topics: TopicsConfig) -> frozenset[str]:
        """Give the pipeline the subscriptions that are enabled now; the filters that cover them."""
        stored = self._store.subscriptions(product_id, topics)
        enabled = [each for each in stored if each.enabled]
        router = self._processing.router(enabled)
        self._network.call(partial(self._pipeline.route, product_id, router))
        return frozenset(broker_filters(topics, [each.topic for each in enabled]))

    async def publish(
        self, product_id: int, topic: str, payload: bytes, qos: int, retain: bool
    ) -> str | None:
        """Publish over the product's connection, from any loop; returns why that failed."""
        connection = self._connections.get(product_id)
        if connection is None:
            return "there is no connection to the broker"
        loop = asyncio.get_running_loop()
        published: asyncio.Future[str | None] = loop.create_future()

        def settle(problem: str | None) -> None:
            if not published.done():
                published.set_result(problem)

        def done(problem: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, problem)

        self._network.call(partial(connection.publish, topic, payload, qos, retain, done))
        return await published

    async def deliver(
        self, product_id: int, topic: str, payload: bytes, qos: int, retain: bool
    ) -> None:
        problem = await self.publish(product_id, topic, payload, qos, retain)
        if problem is not None:
            raise TargetFailed(problem)

    def go_on(self) -> None:
        if self._pipeline.holding:
            self._network.call(self._pipeline.run)

    def status(self, overview: Overview) -> ConnectionStatus:
        product_id = overview.product.id
        counted = {
            "product_id": product_id,
            "messages_received": overview.messages_received,
            "last_message_at": overview.last_message_at,
            "messages_unreadable": overview.messages_unreadable,
            "messages_dropped": overview.messages_dropped,
            "paused": self._processing.paused(),
        }
        connection = self._connections.get(product_id)
        if overview.config is None or connection is None:
            return ConnectionStatus(
                **counted, updated_at=datetime.now(UTC), state=ConnectionState.NOT_CONFIGURED
            )
        link = connection.link
        waiting = () if link.version is None else self._differing(overview.config)
        return ConnectionStatus(
            **counted,
            connected=link.state is ConnectionState.CONNECTED,
            last_connected_at=link.last_connected_at,
            last_disconnected_at=link.last_disconnected_at,
            connection_error=link.error,
            subscribed_topics_count=len(link.granted),
            client_id=link.client_id,
            broker_info=link.broker_info,
            updated_at=link.updated_at,
            state=link.state,
            hint=link.hint,
            error_field=link.field,
            attempt=link.attempt,
            next_attempt_at=link.next_attempt_at,
            refused_filters=link.refused,
            requires_restart=bool(waiting),
            waiting_changes=waiting,
            last_disconnect_reason=link.last_disconnect_reason,
            ping_ms=link.ping_ms,
        )

    def _differing(self, stored: MqttConfig) -> tuple[str, ...]:
        """The fields in which what is stored differs from what runs: none where values were put
        back, though that is another version. Who asks most is answered from memory."""
        product_id = stored.product_id
        running = self._running.get(product_id)
        if running is None or running.config.version == stored.version:
            return ()
        versions = running.config.version, stored.version
        known = self._waiting.get(product_id)
        if known is None or known[:2] != versions:
            known = *versions, self._compared(stored, running)
            self._waiting[product_id] = known
        return known[2]

    def _compared(self, stored: MqttConfig, running: _Run) -> tuple[str, ...]:
        fields = [each.field for each in differences(stored, running.config)]
        try:
            secrets = self._secrets(stored.product_id)
        except VaultError:
            return tuple(fields)  # to connect anew would not help
        return (*fields, *(name for name in secrets if secrets[name] != running.secrets.get(name)))
