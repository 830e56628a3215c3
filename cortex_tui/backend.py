"""`Backend`: the seven operations of the API reference, and a little more.

Everything else in this program is a way to reach one or to show one. A backend is used from one
asyncio loop and never blocks it. Every failure a caller can meet is a `BackendError`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pydantic import ValidationError

    from cortex_tui.diagnosis import StageResult
    from cortex_tui.events import (
        Event,
        Explanation,
        Job,
        JobChoice,
        JobState,
        Publication,
        Trial,
    )
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

WATCH_INTERVAL = 0.25
"""Seconds between two beats of `watch`, at least."""


OnStage = Callable[["StageResult"], None]


class Capability(StrEnum):
    """What an orchestrator may be able to do beyond the reference; the value completes
    "this orchestrator does not …"."""

    LIST_PRODUCTS = "list its products"
    EDIT_PRODUCTS = "create, change or delete products"
    EDIT_SUBSCRIPTIONS = "create or delete subscriptions"
    TLS_MATERIAL = "take certificates or keys for a broker"
    EVENTS = "keep events and actions"
    TRY_EVENTS = "try events out"
    PUBLISH = "publish events"
    CONFIG_HISTORY = "keep the history of a configuration"


class BackendError(Exception):
    """A request that failed: what happened, and what to do about it. Never holds a secret."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def text(self) -> str:
        """Both, as sentences on one line."""
        return (
            f"{self.message.removesuffix('.')}. {self.hint}".rstrip() if self.hint else self.message
        )


class NotFound(BackendError):
    """The product or subscription does not exist (404)."""


class Conflict(BackendError):
    """The name is taken, or the product is in no state for that (409)."""


class Stale(BackendError):
    """Somebody else changed the configuration meanwhile (412)."""


class Denied(BackendError):
    """The token is missing, wrong, or not enough (401, 403)."""


class Unsupported(BackendError):
    """This orchestrator cannot do that (404, 405, 501 on an extension)."""


class Unreachable(BackendError):
    """The orchestrator cannot be asked: network, TLS, time-out, or nonsense in the answer."""


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field: where it is, what to say, and the kind in the vocabulary of
    whoever said it."""

    loc: tuple[str | int, ...]
    message: str
    kind: str = "value_error"
    context: Mapping[str, Any] | None = None


class Invalid(BackendError):
    """Values were rejected (422); `problems` says which and why."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        first = problems[0]
        where = ".".join(str(part) for part in first.loc)
        super().__init__(f"{where}: {first.message}" if where else first.message)
        self.problems = problems


def field_problems(error: ValidationError) -> list[FieldProblem]:
    """The problems in a pydantic error, without the rejected input and without pydantic's
    "Value error, " before our own messages."""
    return [
        FieldProblem(
            loc=tuple(item["loc"]),
            message=item["msg"].removeprefix("Value error, "),
            kind=item["type"],
            context=item.get("ctx"),
        )
        for item in error.errors(include_input=False, include_url=False)
    ]


class Backend(Protocol):
    """An orchestrator, wherever it is. Methods without a section are extensions.

    Every method raises `BackendError` or one of its kinds: `NotFound` for an unknown product or
    subscription, `Invalid` for rejected values, `Unreachable` when nobody can be asked, and
    `Unsupported` for what `capabilities` does not hold.
    """

    @property
    def label(self) -> str:
        """Where this is, for a person: a file or an address."""
        ...

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What this orchestrator can do beyond the reference."""
        ...

    @property
    def problem(self) -> BackendError | None:
        """Why the orchestrator cannot be asked at present; none while it answers, or before it
        was asked. `watch` yields a beat, maybe an empty one, when this changes."""
        ...

    async def aclose(self) -> None:
        """Disconnect and stop; returns within two seconds, and may be called twice."""
        ...

    def focus(self, product_ids: Collection[int]) -> None:
        """Say which products are on screen: where states have to be polled, only theirs are.

        Until this is called, all of them are.
        """
        ...

    def watch(self) -> AsyncGenerator[Mapping[int, ProductState | None]]:
        """States by product id: all at first, then those that changed, none for one that is gone.

        At most one beat in `WATCH_INTERVAL` seconds, however fast events come. Each state is
        whole, so a beat that is lost loses nothing. Never raises: an orchestrator that cannot be
        asked shows in the states.
        """
        ...

    async def products(self) -> list[Product]:
        """Every product, by id."""
        ...

    async def create_product(self, draft: ProductDraft) -> Product: ...

    async def update_product(self, product_id: int, change: ProductChange) -> Product: ...

    async def delete_product(self, product_id: int) -> None:
        """Delete a product with its configuration, subscriptions and counters."""
        ...

    async def config(self, product_id: int) -> ConfigDocument:
        """Configuration, subscriptions and status (§1)."""
        ...

    async def save_config(
        self,
        product_id: int,
        draft: ConfigDraft,
        *,
        if_version: int | None = None,
        by: str | None = None,
    ) -> ConfigSaved:
        """Store a configuration (§2); it applies at the next reconnect.

        `by` is who saves it, for the history; none is the person at this machine.

        An absent, empty or `***` password keeps the stored one; no user name removes both. So it
        is with `client_key` and its `client_cert`. A certificate that the draft does not name is
        kept, one that is null is removed. Raises `Invalid` for certificates and keys that cannot
        be used, and `Stale` where `if_version` is given and is not the stored version; that is 0
        where none is stored.
        """
        ...

    async def config_history(self, product_id: int) -> list[ConfigVersion]:
        """The versions of a configuration that are kept, newest first."""
        ...

    async def test_connection(
        self, product_id: int, test: ConnectionTest, *, on_stage: OnStage | None = None
    ) -> ConnectionTestResult:
        """Try to connect, beside the running connection (§3); ends within `test.time_limit`, and
        at once when it is cancelled.

        `on_stage` is called in the loop with each stage as it ends, by a backend that can tell
        them one by one; a stage that turns out only later to have failed is told again.

        The stored password is used where the test brings none and its host, port and user name
        are the stored ones; the stored `client_key`, where its `client_cert` is the stored one.
        """
        ...

    async def subscriptions(self, product_id: int) -> list[Subscription]:
        """Every subscription of a product, by id (§4)."""
        ...

    async def create_subscription(self, product_id: int, draft: SubscriptionDraft) -> Subscription:
        """Raises `Conflict` where the product has a subscription of that name."""
        ...

    async def update_subscription(
        self, product_id: int, subscription_id: int, change: SubscriptionChange
    ) -> Subscription:
        """Change the fields that are set (§5); takes effect at the broker at once."""
        ...

    async def delete_subscription(self, product_id: int, subscription_id: int) -> None: ...

    async def reconnect(self, product_id: int) -> None:
        """Drop the connection and connect anew with the stored configuration (§6).

        Raises `Conflict` where there is none, or where the product is disabled.
        """
        ...

    async def status(self, product_id: int) -> ConnectionStatus:
        """The connection as it is now (§7)."""
        ...

    async def events(
        self, product_id: int, *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> list[Event]:
        """The newest events of a product that are kept, newest first: at most `limit`, with ids
        above `after` and below `before`.

        Fewer where they are large: the last page is the one that is empty.
        """
        ...

    async def jobs(
        self,
        product_id: int,
        *,
        states: Collection[JobState] = ...,
        subscription_id: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """The newest actions of a product that are kept, newest first, with ids below `before`;
        fewer than `limit` where they are large."""
        ...

    async def retry_jobs(self, product_id: int, choice: JobChoice) -> int:
        """Attempt dead letters anew; returns how many."""
        ...

    async def discard_jobs(self, product_id: int, choice: JobChoice) -> int:
        """Delete dead letters, and actions that wait, as far as they are in the states of the
        choice; returns how many."""
        ...

    async def try_event(self, product_id: int, trial: Trial) -> Explanation:
        """What a subscription would make of an event; nothing comes of it."""
        ...

    async def publish(self, product_id: int, publication: Publication) -> None:
        """Publish to the product's broker over its running connection; returns once the broker has
        it. Raises `Conflict` where there is no connection."""
        ...


@runtime_checkable
class ProductIdKeeper(Protocol):
    """A backend for which a person keeps the product ids, where its orchestrator cannot list its
    products. It matters only while `capabilities` lacks `LIST_PRODUCTS`."""

    @property
    def product_ids(self) -> tuple[int, ...]:
        """The ids that are kept, ascending."""
        ...

    async def add_product_id(self, product_id: int) -> Product:
        """Keep an id; raises `NotFound` where the orchestrator does not know it."""
        ...

    def remove_product_id(self, product_id: int) -> None:
        """Keep an id no longer. The orchestrator is not touched."""
        ...
