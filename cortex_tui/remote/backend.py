"""`RemoteBackend`: the operations of the API reference, asked of an orchestrator over HTTP."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from cortex_tui.answers import (
    CapabilityList,
    ConfigHistory,
    EventList,
    JobList,
    JobsChanged,
    ProductList,
    ProductSaved,
    States,
    SubscriptionList,
    SubscriptionSaved,
    Success,
)
from cortex_tui.backend import (
    BackendError,
    Capability,
    Invalid,
    NotFound,
    OnStage,
    Unsupported,
)
from cortex_tui.diagnosis import Diagnosis
from cortex_tui.events import Event, Explanation, Job, JobChoice, JobState, Publication, Trial
from cortex_tui.models import (
    TLS_MATERIAL,
    BrokerAccess,
    ConfigDocument,
    ConfigDraft,
    ConfigSaved,
    ConfigVersion,
    ConnectionStatus,
    ConnectionTest,
    ConnectionTestResult,
    Model,
    Product,
    ProductChange,
    ProductDraft,
    ProductState,
    Subscription,
    SubscriptionChange,
    SubscriptionDraft,
)
from cortex_tui.person import who
from cortex_tui.remote.bodies import body_of, changes_of, given
from cortex_tui.remote.failures import NoAnswer, NoSuchPath, WrongToken
from cortex_tui.remote.http import Http
from cortex_tui.remote.watch import Beat, Focus, Watch

STREAM_SILENCE = 20.0
"""Seconds; the stream says at least every 15 that it is alive."""
POLL_SILENCE = 5.0
"""Seconds an answer to a poll may be due."""
TEST_GRACE = 10.0
"""Seconds for the answer of a test beyond its time limit."""

PUBLISH_SILENCE = 15.0
"""Seconds; the broker itself is given ten."""

M = TypeVar("M", bound=Model)

_DOCUMENTED_CHANGES = {"enabled", "description", "actions"}


class RemoteBackend:
    """An orchestrator behind a URL; see `Backend` for what each operation means.

    Where the orchestrator has only the documented endpoints, a person keeps its product ids (see
    `ProductIdKeeper`).
    """

    def __init__(
        self,
        http: Http,
        product_ids: Iterable[int],
        on_product_ids: Callable[[tuple[int, ...]], None],
    ) -> None:
        """Callers use `open`."""
        self._http = http
        self._kept = set(product_ids)
        self._on_product_ids = on_product_ids
        self._focus = Focus()
        self._closed = asyncio.Event()
        self._capabilities: frozenset[Capability] | None = None
        self.problem: BackendError | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        token: SecretStr | None = None,
        verify: bool = True,
        ca_file: Path | None = None,
        product_ids: Iterable[int] = (),
        on_product_ids: Callable[[tuple[int, ...]], None] = lambda _: None,
    ) -> "RemoteBackend":
        """An orchestrator at `url`. Nothing is asked yet: it may be down, and come up later.

        `product_ids` are those a person keeps; `on_product_ids` is told when they change. Raises
        `BackendError` where the URL, the token, the CA file or the proxy cannot be used.
        """
        http = await Http.open(url, token=token, verify=verify, ca_file=ca_file)
        return cls(http, product_ids, on_product_ids)

    @property
    def label(self) -> str:
        return self._http.label

    @property
    def capabilities(self) -> frozenset[Capability]:
        """None before the orchestrator has answered for the first time."""
        return self._capabilities or frozenset()

    async def aclose(self) -> None:
        self._closed.set()
        await self._http.aclose()

    # -- watching -----------------------------------------------------------------------------

    def focus(self, product_ids: Collection[int]) -> None:
        self._focus.move(frozenset(product_ids))

    def watch(self) -> AsyncGenerator[Mapping[int, ProductState | None]]:
        return Watch(
            self,
            self._focus,
            expected=self._kept_products(),
            closed=self._closed,
            on_problem=self._has_problem,
        ).beats()

    def _has_problem(self, problem: BackendError | None) -> None:
        self.problem = problem

    async def stream(self) -> AsyncGenerator[Beat]:
        """The orchestrator's own beats. Raises `Unsupported` where it sends none."""
        events = self._http.events("/products/status/stream", silence=STREAM_SILENCE)
        async with contextlib.aclosing(events):
            async for data in events:
                yield self._http.parsed(States, data).states

    async def poll(self, product_id: int) -> ConfigDocument:
        """Like `config`, but sooner out of patience."""
        path = f"/products/{product_id}/mqtt-config"
        return await self._http.ask("GET", path, ConfigDocument, silence=POLL_SILENCE)

    # -- what it can do -----------------------------------------------------------------------

    async def learn(self) -> None:
        """Find out what the orchestrator can do beyond the reference."""
        try:
            names = await self._http.ask("GET", "/capabilities", CapabilityList, extension=True)
        except (Unsupported, NotFound, Invalid):
            self._capabilities = await self._probed()
        else:
            known = {capability.name.lower(): capability for capability in Capability}
            self._capabilities = frozenset(
                known[name] for name in names.capabilities if name in known
            )

    async def _probed(self) -> frozenset[Capability]:
        try:
            await self._http.ask("GET", "/products", ProductList, extension=True)
        except (Unsupported, NotFound, Invalid):
            await self._check_url()
            return frozenset()
        return frozenset({Capability.LIST_PRODUCTS})

    async def _check_url(self) -> None:
        """Tell an orchestrator that has only the documented endpoints from a URL where there is
        none. Raises `NoSuchPath` for the latter: it does not even know of products; and what is
        never about one product alone: that nothing comes back, or that the token is wrong."""
        try:
            await self.poll(min(self._kept, default=1))
        except (NoSuchPath, NoAnswer, WrongToken):
            raise
        except BackendError:
            pass  # the path is known, whatever the matter is with that product

    async def _can(self, capability: Capability) -> bool:
        if self._capabilities is None:
            await self.learn()
        return capability in self.capabilities

    async def _need(self, capability: Capability) -> None:
        if not await self._can(capability):
            raise Unsupported(
                f"This orchestrator does not {capability}", "It is beyond the API reference."
            )

    # -- products -----------------------------------------------------------------------------

    async def products(self) -> list[Product]:
        if await self._can(Capability.LIST_PRODUCTS):
            listed = await self._http.ask("GET", "/products", ProductList, extension=True)
            return sorted(listed.products, key=lambda product: product.id)
        return self._kept_products()

    async def create_product(self, draft: ProductDraft) -> Product:
        await self._need(Capability.EDIT_PRODUCTS)
        saved = await self._http.ask(
            "POST", "/products", ProductSaved, body=body_of(draft), extension=True
        )
        return saved.product

    async def update_product(self, product_id: int, change: ProductChange) -> Product:
        await self._need(Capability.EDIT_PRODUCTS)
        path = f"/products/{product_id}"
        saved = await self._http.ask(
            "PATCH", path, ProductSaved, body=changes_of(change), extension=True
        )
        return saved.product

    async def delete_product(self, product_id: int) -> None:
        await self._need(Capability.EDIT_PRODUCTS)
        await self._http.ask("DELETE", f"/products/{product_id}", Success, extension=True)

    # -- product ids that a person keeps ------------------------------------------------------

    @property
    def product_ids(self) -> tuple[int, ...]:
        return tuple(sorted(self._kept))

    async def add_product_id(self, product_id: int) -> Product:
        await self.config(product_id)
        self._keep(self._kept | {product_id})
        return _unnamed(product_id)

    def remove_product_id(self, product_id: int) -> None:
        self._keep(self._kept - {product_id})

    def _keep(self, product_ids: set[int]) -> None:
        self._kept = product_ids
        self._on_product_ids(self.product_ids)
        self._focus.moved.set()

    def _kept_products(self) -> list[Product]:
        return [_unnamed(product_id) for product_id in self.product_ids]

    # -- configuration ------------------------------------------------------------------------

    async def config(self, product_id: int) -> ConfigDocument:
        return await self._http.ask("GET", f"/products/{product_id}/mqtt-config", ConfigDocument)

    async def save_config(
        self,
        product_id: int,
        draft: ConfigDraft,
        *,
        if_version: int | None = None,
        by: str | None = None,
    ) -> ConfigSaved:
        body = body_of(draft)
        body["broker"] = await self._with_material(draft.broker, body["broker"])
        return await self._http.ask(
            "PUT",
            f"/products/{product_id}/mqtt-config",
            ConfigSaved,
            body=body,
            condition=_condition(if_version),
            by=by or who(),
        )

    async def config_history(self, product_id: int) -> list[ConfigVersion]:
        await self._need(Capability.CONFIG_HISTORY)
        path = f"/products/{product_id}/mqtt-config/history"
        kept = await self._http.ask("GET", path, ConfigHistory, extension=True)
        return sorted(kept.versions, key=lambda each: each.version, reverse=True)

    async def test_connection(
        self, product_id: int, test: ConnectionTest, *, on_stage: OnStage | None = None
    ) -> ConnectionTestResult:
        del on_stage  # over HTTP the answer arrives whole
        return await self._http.ask(
            "POST",
            f"/products/{product_id}/mqtt-config/test",
            Diagnosis,
            body=await self._with_material(test, body_of(test)),
            silence=test.time_limit + TEST_GRACE,
        )

    async def _with_material(self, broker: BrokerAccess, body: dict[str, Any]) -> dict[str, Any]:
        """The fields of a broker, with those of its TLS material that are meant. They are not lost
        without a word at an orchestrator that knows only the reference."""
        meant = broker.model_fields_set & TLS_MATERIAL
        if any(getattr(broker, name) is not None for name in meant):
            await self._need(Capability.TLS_MATERIAL)
        elif meant and not await self._can(Capability.TLS_MATERIAL):
            meant = set()
        left_out = TLS_MATERIAL - meant
        return {name: value for name, value in body.items() if name not in left_out}

    # -- subscriptions ------------------------------------------------------------------------

    async def subscriptions(self, product_id: int) -> list[Subscription]:
        path = f"/products/{product_id}/mqtt-config/subscriptions"
        listed = await self._http.ask("GET", path, SubscriptionList)
        return sorted(listed.subscriptions, key=lambda subscription: subscription.id)

    async def create_subscription(self, product_id: int, draft: SubscriptionDraft) -> Subscription:
        await self._need(Capability.EDIT_SUBSCRIPTIONS)
        path = f"/products/{product_id}/mqtt-config/subscriptions"
        saved = await self._http.ask(
            "POST", path, SubscriptionSaved, body=body_of(draft), extension=True
        )
        return saved.subscription

    async def update_subscription(
        self, product_id: int, subscription_id: int, change: SubscriptionChange
    ) -> Subscription:
        if change.model_fields_set - _DOCUMENTED_CHANGES:
            # An orchestrator that knows only the documented fields would ignore the others.
            await self._need(Capability.EDIT_SUBSCRIPTIONS)
        path = f"/products/{product_id}/mqtt-config/subscriptions/{subscription_id}"
        saved = await self._http.ask("PUT", path, SubscriptionSaved, body=changes_of(change))
        return saved.subscription

    async def delete_subscription(self, product_id: int, subscription_id: int) -> None:
        await self._need(Capability.EDIT_SUBSCRIPTIONS)
        path = f"/products/{product_id}/mqtt-config/subscriptions/{subscription_id}"
        await self._http.ask("DELETE", path, Success, extension=True)

    # -- the connection -----------------------------------------------------------------------

    async def reconnect(self, product_id: int) -> None:
        await self._http.ask("POST", f"/products/{product_id}/mqtt-config/reconnect", Success)

    async def status(self, product_id: int) -> ConnectionStatus:
        path = f"/products/{product_id}/mqtt-config/status"
        return await self._http.ask("GET", path, ConnectionStatus)

    # -- events and actions -------------------------------------------------------------------

    async def events(
        self, product_id: int, *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> list[Event]:
        params = given(after=after, before=before, limit=limit)
        path = f"/products/{product_id}/events"
        listed = await self._extension(Capability.EVENTS, "GET", path, EventList, params=params)
        return list(listed.events)

    async def jobs(
        self,
        product_id: int,
        *,
        states: Collection[JobState] = tuple(JobState),
        subscription_id: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Job]:
        if not states:
            return []  # as parameters, none would mean all
        params = given(
            state=list(states), subscription_id=subscription_id, before=before, limit=limit
        )
        path = f"/products/{product_id}/actions"
        listed = await self._extension(Capability.EVENTS, "GET", path, JobList, params=params)
        return list(listed.actions)

    async def retry_jobs(self, product_id: int, choice: JobChoice) -> int:
        return await self._change_jobs(product_id, "retry", choice)

    async def discard_jobs(self, product_id: int, choice: JobChoice) -> int:
        return await self._change_jobs(product_id, "discard", choice)

    async def _change_jobs(self, product_id: int, what: str, choice: JobChoice) -> int:
        path = f"/products/{product_id}/actions/{what}"
        body = choice.model_dump(mode="json", exclude_defaults=True)
        changed = await self._extension(Capability.EVENTS, "POST", path, JobsChanged, body=body)
        return changed.count

    async def try_event(self, product_id: int, trial: Trial) -> Explanation:
        path, body = f"/products/{product_id}/try-event", body_of(trial)
        return await self._extension(Capability.TRY_EVENTS, "POST", path, Explanation, body=body)

    async def publish(self, product_id: int, publication: Publication) -> None:
        path, body = f"/products/{product_id}/publish", body_of(publication)
        await self._extension(
            Capability.PUBLISH, "POST", path, Success, body=body, silence=PUBLISH_SILENCE
        )

    async def _extension(
        self, capability: Capability, method: str, path: str, kind: type[M], **options: Any
    ) -> M:
        await self._need(capability)
        return await self._http.ask(method, path, kind, extension=True, **options)


def _unnamed(product_id: int) -> Product:
    return Product(id=product_id, name=f"Product {product_id}")


def _condition(if_version: int | None) -> dict[str, str]:
    """What has to be stored for a PUT to replace it (RFC 9110 §13.1.1, §13.1.2)."""
    if if_version is None:
        return {}
    return {"If-Match": f'"{if_version}"'} if if_version else {"If-None-Match": "*"}
