"""`LocalBackend`: an orchestrator in this process. It composes the rooms beside it.

The asyncio loop asks, the store and the network thread do. Whatever blocks runs in a thread.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from cortex_tui.backend import BackendError, Capability, Conflict, FieldProblem, Invalid, OnStage
from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.diagnosis import Stage
from cortex_tui.differences import differences
from cortex_tui.events import Event, Explanation, Job, JobChoice, JobState, Publication, Trial
from cortex_tui.local import tls
from cortex_tui.local.causes import Cause
from cortex_tui.local.changes import Changes
from cortex_tui.local.connection import Connection, Plan
from cortex_tui.local.daemon import in_daemon_thread, in_this_loop
from cortex_tui.local.lock import DatabaseLock
from cortex_tui.local.network import Network
from cortex_tui.local.processing import Processing
from cortex_tui.local.store import Durability, Overview, Store
from cortex_tui.local.targets import TargetFailed
from cortex_tui.local.vault import Vault, VaultError
from cortex_tui.models import (
    TLS_MATERIAL,
    BrokerConfig,
    ConfigDocument,
    ConfigDraft,
    ConfigSaved,
    ConfigVersion,
    ConnectionState,
    ConnectionStatus,
    ConnectionTest,
    ConnectionTestResult,
    MqttConfig,
    Product,
    ProductChange,
    ProductDraft,
    ProductState,
    Subscription,
    SubscriptionChange,
    SubscriptionDraft,
    TopicsConfig,
)
from cortex_tui.person import who
from cortex_tui.topics import broker_filters

T = TypeVar("T")

CLOSE_TIMEOUT = 1.0
"""Seconds the good-byes to the brokers may take."""
PUBLISH_TIMEOUT = 10.0
"""Seconds a broker is given to acknowledge what a person publishes."""
NOT_CONFIGURED = "MQTT not configured for this product"


class LocalBackend:
    """The embedded orchestrator; see `Backend` for what each operation means."""

    capabilities = frozenset(Capability)
    problem: BackendError | None = None

    def __init__(
        self,
        path: Path,
        key: SecretStr | None,
        durability: Durability,
        delivery: DeliverySettings,
    ) -> None:
        """Blocks; callers use `open`."""
        self.label = str(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = DatabaseLock(path)
        except OSError as error:
            raise BackendError(
                f"{path} cannot be used as a database: {error.strerror}",
                "Check the path and its permissions, or choose another file with --db.",
            ) from error
        try:
            vault = Vault.open(path.with_name(path.name + ".key"), key)
            self._store = Store(path, vault, durability)
        except BaseException:
            self._lock.release()
            raise
        self._changes = Changes()
        self._processing = Processing(
            self._store,
            delivery,
            delivery.templates or path.with_name("templates"),
            publish=self._deliver,
            on_change=self._changes.mark,
            on_room=self._go_on,
        )
        self._pipeline = self._processing.pipeline
        self._connections: dict[int, Connection] = {}
        self._running: dict[int, MqttConfig] = {}
        """The configuration each product was last told to run with."""
        self._changing = asyncio.Lock()
        self._closed = False
        self._network = Network(self._pipeline.run)
        self._processing.start()
        for overview in self._store.overviews():
            self._apply(overview.product.id)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        key: SecretStr | None = None,
        durability: Durability = "full",
        delivery: DeliverySettings | None = None,
    ) -> "LocalBackend":
        """Open the database at `path`, made where it is missing, and connect its products.

        `delivery` says where actions go; by default they are recorded and not sent. E-mail
        templates lie in `templates` beside the database unless it names another folder.

        Raises `DatabaseBusy` where another process runs it, `VaultError` where `key` does not fit,
        and `BackendError` where the file cannot be used.
        """
        delivery = delivery or DeliverySettings()
        return await asyncio.to_thread(cls, path, key, durability, delivery)

    @property
    def instance_id(self) -> str:
        """Tells this orchestrator from others that share its subscriptions; in its client ids."""
        return self._store.instance_id

    def announce(self, url: str | None) -> None:
        """Tell whoever finds the database busy where its owner serves the API."""
        self._lock.announce(url)

    def focus(self, product_ids: Collection[int]) -> None:
        """Nothing is polled here: every change is told."""

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for connection in self._connections.values():
            self._network.call(partial(connection.stop, ConnectionState.DISCONNECTED))
        self._processing.close()
        self._network.close(CLOSE_TIMEOUT)
        self._store.close()
        self._lock.release()

    # -- watching -----------------------------------------------------------------------------

    async def watch(self) -> AsyncGenerator[Mapping[int, ProductState | None]]:
        with self._changes.watching() as watcher:
            yield await asyncio.to_thread(self._states, None)
            while not self._closed:
                changed = await watcher.beat()
                if not self._closed:
                    yield await asyncio.to_thread(self._states, changed)

    def _states(self, product_ids: set[int] | None) -> dict[int, ProductState | None]:
        states: dict[int, ProductState | None] = dict.fromkeys(product_ids or ())
        unfinished = self._processing.outbox.unfinished()
        for overview in self._store.overviews(product_ids):
            configured = overview.config is not None
            states[overview.product.id] = ProductState(
                product=overview.product,
                broker=overview.config.broker.address if overview.config else None,
                status=self._status(overview) if configured else None,
                subscriptions_total=overview.subscriptions_total,
                subscriptions_enabled=overview.subscriptions_enabled,
                actions_pending=unfinished[overview.product.id].pending,
                actions_dead=sum(unfinished[overview.product.id].dead.values()),
            )
        return states

    # -- products -----------------------------------------------------------------------------

    async def products(self) -> list[Product]:
        return await asyncio.to_thread(self._store.products)

    async def create_product(self, draft: ProductDraft) -> Product:
        product = await asyncio.to_thread(self._store.create_product, draft)
        self._changes.mark(product.id)
        return product

    async def update_product(self, product_id: int, change: ProductChange) -> Product:
        def update() -> Product:
            before = self._store.product(product_id)
            after = self._store.update_product(product_id, change)
            if after.enabled != before.enabled:
                self._apply(product_id)
            return after

        return await self._change(product_id, update)

    async def delete_product(self, product_id: int) -> None:
        def delete() -> None:
            self._store.product(product_id)
            self._running.pop(product_id, None)
            if connection := self._connections.pop(product_id, None):
                stop = partial(connection.stop, ConnectionState.DISABLED, forget_session=True)
                self._network.call(stop)
            # Nothing of the product is to be written once it is gone.
            self._network.call(partial(self._pipeline.route, product_id, None))
            self._network.finish(CLOSE_TIMEOUT)
            self._store.delete_product(product_id)

        await self._change(product_id, delete)

    # -- configuration ------------------------------------------------------------------------

    async def config(self, product_id: int) -> ConfigDocument:
        def read() -> ConfigDocument:
            overview = self._store.overview(product_id)
            if overview.config is None:
                return ConfigDocument(product_id=product_id, message=NOT_CONFIGURED)
            return ConfigDocument(
                product_id=product_id,
                mqtt_config=overview.config,
                subscriptions=tuple(self._subscriptions(product_id)),
                status=self._status(overview),
            )

        return await asyncio.to_thread(read)

    async def save_config(
        self,
        product_id: int,
        draft: ConfigDraft,
        *,
        if_version: int | None = None,
        by: str | None = None,
    ) -> ConfigSaved:
        def save() -> ConfigSaved:
            self._check_tls(product_id, draft.broker)
            saved = self._store.save_config(product_id, draft, if_version, by or who())
            if product_id not in self._connections:
                self._apply(product_id)
            overview = self._store.overview(product_id)
            return ConfigSaved(
                requires_restart=self._status(overview).requires_restart, mqtt_config=saved
            )

        return await self._change(product_id, save)

    async def config_history(self, product_id: int) -> list[ConfigVersion]:
        return await asyncio.to_thread(self._store.config_history, product_id)

    async def test_connection(
        self, product_id: int, test: ConnectionTest, *, on_stage: OnStage | None = None
    ) -> ConnectionTestResult:
        def with_stored_secrets() -> ConnectionTest:
            config = self._store.config(product_id)
            if config is None:
                return test
            stored, secrets = config.broker, {}
            if test.new_password is None:
                same = (stored.host, stored.port, stored.username)
                asked = (test.host, test.port, test.username) == same
                secrets["password"] = self._store.password(product_id) if asked else None
            if test.new_key is None:
                asked = test.client_cert is not None and test.client_cert == stored.client_cert
                secrets["client_key"] = self._store.client_key(product_id) if asked else None
            return test.model_copy(update=secrets)

        from cortex_tui.local.probe import probe

        complete = await asyncio.to_thread(with_stored_secrets)
        cancelled = threading.Event()
        tell = in_this_loop(on_stage) if on_stage else None
        try:
            return await in_daemon_thread(
                "cortex-probe",
                partial(probe, complete, cancelled=cancelled, on_stage=tell),
            )
        finally:
            cancelled.set()

    # -- subscriptions ------------------------------------------------------------------------

    async def subscriptions(self, product_id: int) -> list[Subscription]:
        return await asyncio.to_thread(self._subscriptions, product_id)

    def _subscriptions(self, product_id: int) -> list[Subscription]:
        return self._processing.live(self._store.subscriptions(product_id), time.time())

    async def create_subscription(self, product_id: int, draft: SubscriptionDraft) -> Subscription:
        def create() -> Subscription:
            self._processing.check(draft.actions)
            created = self._store.create_subscription(product_id, draft)
            self._apply_subscriptions(product_id)
            return created

        return await self._change(product_id, create)

    async def update_subscription(
        self, product_id: int, subscription_id: int, change: SubscriptionChange
    ) -> Subscription:
        def update() -> Subscription:
            self._processing.check(change.actions)
            updated = self._store.update_subscription(product_id, subscription_id, change)
            self._apply_subscriptions(product_id)
            return self._processing.live([updated], time.time())[0]

        return await self._change(product_id, update)

    async def delete_subscription(self, product_id: int, subscription_id: int) -> None:
        def delete() -> None:
            self._store.delete_subscription(product_id, subscription_id)
            self._apply_subscriptions(product_id)

        await self._change(product_id, delete)

    # -- the connection -----------------------------------------------------------------------

    async def reconnect(self, product_id: int) -> None:
        def apply() -> None:
            overview = self._store.overview(product_id)
            if overview.config is None:
                raise Conflict(NOT_CONFIGURED, "Save a configuration first.")
            if not overview.product.enabled:
                raise Conflict("The product is disabled", "Enable the product first.")
            self._apply(product_id)

        await self._change(product_id, apply)

    async def status(self, product_id: int) -> ConnectionStatus:
        # What pollers ask for most: in this thread, as long as nothing was written since.
        overview = self._store.overview_at_hand(product_id)
        if overview is None:
            overview = await asyncio.to_thread(self._store.overview, product_id)
        return self._status(overview)

    # -- events and actions -------------------------------------------------------------------

    async def events(
        self, product_id: int, *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> list[Event]:
        def read() -> list[Event]:
            self._store.product(product_id)
            return self._processing.history.events(
                product_id, after=after, before=before, limit=limit
            )

        return await asyncio.to_thread(read)

    async def jobs(
        self,
        product_id: int,
        *,
        states: Collection[JobState] = tuple(JobState),
        subscription_id: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Job]:
        def read() -> list[Job]:
            self._store.product(product_id)
            return self._processing.outbox.jobs(
                product_id,
                states=states,
                subscription_id=subscription_id,
                before=before,
                limit=limit,
            )

        return await asyncio.to_thread(read)

    async def retry_jobs(self, product_id: int, choice: JobChoice) -> int:
        retry = partial(self._processing.retry, product_id, choice, time.time())
        return await self._change(product_id, retry)

    async def discard_jobs(self, product_id: int, choice: JobChoice) -> int:
        return await self._change(product_id, partial(self._processing.discard, product_id, choice))

    async def try_event(self, product_id: int, trial: Trial) -> Explanation:
        return await asyncio.to_thread(self._processing.try_event, product_id, trial)

    async def publish(self, product_id: int, publication: Publication) -> None:
        await asyncio.to_thread(self._store.product, product_id)
        sent = self._publish(
            product_id,
            publication.topic,
            publication.payload.encode(),
            publication.qos,
            publication.retain,
        )
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT):
                problem = await sent
        except TimeoutError:
            problem = f"the broker has not taken it within {PUBLISH_TIMEOUT:g} s"
        if problem is not None:
            raise Conflict(
                f"The message was not published: {problem}", "See the product's connection."
            )

    async def _publish(
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

    async def _deliver(
        self, product_id: int, topic: str, payload: bytes, qos: int, retain: bool
    ) -> None:
        problem = await self._publish(product_id, topic, payload, qos, retain)
        if problem is not None:
            raise TargetFailed(problem)

    def _go_on(self) -> None:
        if self._pipeline.holding:
            self._network.call(self._pipeline.run)

    # -- below --------------------------------------------------------------------------------

    async def _change(self, product_id: int, change: Callable[[], T]) -> T:
        """Run one change in a thread, one after another, and tell the watchers."""
        async with self._changing:
            result = await asyncio.to_thread(change)
        self._changes.mark(product_id)
        return result

    def _check_tls(self, product_id: int, broker: BrokerConfig) -> None:
        """Raise `Invalid` where certificate and key, as they will be stored, cannot be used."""
        if not broker.model_fields_set & TLS_MATERIAL:
            return
        complete = broker
        if broker.client_cert is not None and broker.new_key is None:
            stored_key = self._store.client_key(product_id)
            complete = broker.model_copy(update={"client_key": stored_key})
        try:
            tls.check(complete)
        except tls.UnusableMaterial as error:
            raise Invalid([FieldProblem(("broker", error.field), str(error))]) from None

    def _apply(self, product_id: int) -> None:
        """Run a product's connection as it is stored now: connect anew, or stop."""
        overview = self._store.overview(product_id)
        if overview.config is None:
            return
        connection = self._connections.get(product_id)
        if connection is None:
            connection = Connection(
                product_id, self._network, self._pipeline.take, self._changes.mark
            )
            self._connections[product_id] = connection
        if not overview.product.enabled:
            self._network.call(partial(connection.stop, ConnectionState.DISABLED))
            return
        self._running[product_id] = overview.config
        try:
            plan = self._plan(overview.config)
        except VaultError as error:
            cause = Cause(Stage.CONNECT, error.message, error.hint, latch=True)
            self._network.call(partial(connection.interrupt, cause))
            return
        self._network.call(partial(connection.start, plan))

    def _apply_subscriptions(self, product_id: int) -> None:
        """Listen to what is enabled now, over the connection that runs and by its configuration,
        which may be older than the stored one."""
        running = self._running.get(product_id)
        if running is None:
            return
        filters = self._route(product_id, running.topics)
        subscribe = self._connections[product_id].subscribe
        self._network.call(partial(subscribe, filters, running.topics.qos))

    def _plan(self, config: MqttConfig) -> Plan:
        secrets = {
            "password": self._store.password(config.product_id),
            "client_key": self._store.client_key(config.product_id),
        }
        broker = config.broker
        return Plan(
            broker=broker.model_copy(update=secrets),
            client_id=broker.client_id or f"cortex-{config.product_id}-{self.instance_id}",
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

    def _status(self, overview: Overview) -> ConnectionStatus:
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
        waits = link.version not in (None, overview.config.version)
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
            attempt=link.attempt,
            next_attempt_at=link.next_attempt_at,
            refused_filters=link.refused,
            requires_restart=waits,
            waiting_changes=self._waiting(overview.config) if waits else (),
            last_disconnect_reason=link.last_disconnect_reason,
            ping_ms=link.ping_ms,
        )

    def _waiting(self, stored: MqttConfig) -> tuple[str, ...]:
        running = self._running.get(stored.product_id, stored)
        return tuple(each.field for each in differences(stored, running))
