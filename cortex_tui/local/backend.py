"""`LocalBackend`: an orchestrator in this process. It composes the rooms beside it.

The asyncio loop asks, the store and the network thread do. Whatever blocks runs in a thread.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from cortex_tui.backend import BackendError, Capability, Conflict, OnStage
from cortex_tui.daemon import in_daemon_thread, in_this_loop
from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.events import Event, Explanation, Job, JobChoice, JobState, Publication, Trial
from cortex_tui.local.changes import Changes
from cortex_tui.local.connections import Connections
from cortex_tui.local.database import Durability
from cortex_tui.local.lock import DatabaseLock
from cortex_tui.local.processing import Processing
from cortex_tui.local.store import Store
from cortex_tui.local.stored_secrets import StoredSecrets
from cortex_tui.local.vault import Vault
from cortex_tui.models import (
    ConfigDocument,
    ConfigDraft,
    ConfigSaved,
    ConfigVersion,
    ConnectionStatus,
    ConnectionTest,
    ConnectionTestResult,
    Product,
    ProductChange,
    ProductDraft,
    ProductState,
    Subscription,
    SubscriptionChange,
    SubscriptionDraft,
)
from cortex_tui.person import who

T = TypeVar("T")
log = logging.getLogger(__name__)

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
        with ExitStack() as opened:
            opened.callback(self._lock.release)
            vault = Vault.open(path.with_name(path.name + ".key"), key)
            self._store = Store(path, vault, durability)
            opened.callback(self._store.close)
            self._secrets = StoredSecrets(self._store)
            self._changes = Changes()
            self._processing = Processing(
                self._store,
                delivery,
                delivery.templates or path.with_name("templates"),
                on_change=self._changes.mark,
            )
            self._connections = Connections(self._store, self._processing, self._changes.mark)
            opened.callback(self._connections.close)
            self._changing = asyncio.Lock()
            self._closed = False
            self._processing.start(
                publish=self._connections.deliver, on_room=self._connections.go_on
            )
            opened.callback(self._processing.close)
            opened.callback(self._connections.stop)
            for overview in self._store.overviews():
                self._connections.apply(overview.product.id)
            self._opened = opened.pop_all()

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
        building = asyncio.get_running_loop().run_in_executor(
            None, cls, path, key, durability, delivery
        )
        try:
            return await asyncio.shield(building)
        except asyncio.CancelledError:
            building.add_done_callback(_close_unwanted)
            raise

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
        async with self._changing:  # a change that has begun goes to its end before
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._opened.close()

    # -- watching -----------------------------------------------------------------------------

    async def watch(self) -> AsyncGenerator[Mapping[int, ProductState | None]]:
        with self._changes.watching() as watcher:
            changed: set[int] | None = None
            while not self._closed:
                try:
                    states = await asyncio.to_thread(self._states, changed)
                except sqlite3.ProgrammingError:
                    if self._closed:  # meanwhile
                        return
                    raise
                yield states
                changed = await watcher.beat()

    def _states(self, product_ids: set[int] | None) -> dict[int, ProductState | None]:
        states: dict[int, ProductState | None] = dict.fromkeys(product_ids or ())
        unfinished = self._processing.outbox.unfinished()
        for overview in self._store.overviews(product_ids):
            configured = overview.config is not None
            states[overview.product.id] = ProductState(
                product=overview.product,
                broker=overview.config.broker.address if overview.config else None,
                status=self._connections.status(overview) if configured else None,
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
        def create() -> Product:
            created = self._store.create_product(draft)
            self._changes.mark(created.id)
            return created

        return await self._change(None, create)

    async def update_product(self, product_id: int, change: ProductChange) -> Product:
        def update() -> Product:
            before = self._store.product(product_id)
            after = self._store.update_product(product_id, change)
            if after.enabled != before.enabled:
                self._connections.apply(product_id)
            return after

        return await self._change(product_id, update)

    async def delete_product(self, product_id: int) -> None:
        def delete() -> None:
            gone = self._store.subscriptions(product_id)
            self._connections.remove(product_id)
            try:
                self._store.delete_product(product_id)
            except Exception:
                self._connections.apply(product_id)  # it is still there, as it was
                raise
            self._processing.forget(each.id for each in gone)

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
                status=self._connections.status(overview),
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
            self._secrets.check(product_id, draft.broker)
            saved = self._store.save_config(product_id, draft, if_version, by or who())
            runs = self._connections.runs(product_id)
            if not self._connections.has(product_id):
                self._connections.apply(product_id)
            # The reference answers so whatever was saved; the status compares the values.
            return ConfigSaved(requires_restart=runs, mqtt_config=saved)

        return await self._change(product_id, save)

    async def config_history(self, product_id: int) -> list[ConfigVersion]:
        return await asyncio.to_thread(self._store.config_history, product_id)

    async def test_connection(
        self, product_id: int, test: ConnectionTest, *, on_stage: OnStage | None = None
    ) -> ConnectionTestResult:
        from cortex_tui.local.probe import probe

        complete = await asyncio.to_thread(self._secrets.complete, product_id, test)
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
            self._connections.apply_subscriptions(product_id)
            return created

        return await self._change(product_id, create)

    async def update_subscription(
        self, product_id: int, subscription_id: int, change: SubscriptionChange
    ) -> Subscription:
        def update() -> Subscription:
            self._processing.check(change.actions)
            updated = self._store.update_subscription(product_id, subscription_id, change)
            self._connections.apply_subscriptions(product_id)
            return self._processing.live([updated], time.time())[0]

        return await self._change(product_id, update)

    async def delete_subscription(self, product_id: int, subscription_id: int) -> None:
        def delete() -> None:
            self._store.delete_subscription(product_id, subscription_id)
            self._connections.apply_subscriptions(product_id)
            self._processing.forget([subscription_id])

        await self._change(product_id, delete)

    # -- the connection -----------------------------------------------------------------------

    async def reconnect(self, product_id: int) -> None:
        def apply() -> None:
            overview = self._store.overview(product_id)
            if overview.config is None:
                raise Conflict(NOT_CONFIGURED, "Save a configuration first.")
            if not overview.product.enabled:
                raise Conflict("The product is disabled", "Enable the product first.")
            self._connections.apply(product_id)

        await self._change(product_id, apply)
        # Whoever asks for the status next is to be told of the new connection, not of the old one.
        await asyncio.to_thread(self._connections.settle)

    async def status(self, product_id: int) -> ConnectionStatus:
        # What pollers ask for most: in this thread, as long as nothing was written since.
        overview = self._store.overview_at_hand(product_id)
        if overview is None:
            overview = await asyncio.to_thread(self._store.overview, product_id)
        return self._connections.status(overview)

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
        sent = self._connections.publish(
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

    # -- below --------------------------------------------------------------------------------

    async def _change(self, product_id: int | None, change: Callable[[], T]) -> T:
        """Run one change in a thread, one after another, and tell the watchers of its product,
        where that is known before. Once it has begun it goes to its end, also where nobody waits
        for it any more."""
        await self._changing.acquire()
        # Nothing is awaited between these lines: whoever has the lock is sure to give it back.
        if self._closed:
            self._changing.release()
            raise BackendError("The orchestrator is closed", "Open it again.")
        running = asyncio.get_running_loop().run_in_executor(None, change)
        running.add_done_callback(partial(self._changed, product_id))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            running.add_done_callback(_log_failure)
            raise

    def _changed(self, product_id: int | None, ended: asyncio.Future[T]) -> None:
        self._changing.release()
        if product_id is not None:
            self._changes.mark(product_id)
        if not ended.cancelled():
            ended.exception()  # seen, also where nobody waits for it


def _close_unwanted(building: asyncio.Future[LocalBackend]) -> None:
    """Whoever asked for this orchestrator has gone while it was being opened."""
    if not building.cancelled() and building.exception() is None:
        building.get_loop().run_in_executor(None, building.result()._close)


def _log_failure(change: asyncio.Future[T]) -> None:
    """Nobody waits for this change any more."""
    error = None if change.cancelled() else change.exception()
    if error is not None and not isinstance(error, BackendError):
        log.error("a change failed after its caller had gone", exc_info=error)
