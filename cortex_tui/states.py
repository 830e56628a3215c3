"""What a list of products shows of one that is only stored yet, and the word for how it is.

Nothing is imported here that takes time: this is what the first rows of a start need.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from cortex_tui.models import ProductState


class ConnectionState(StrEnum):
    """What a connection is doing, in one word."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RETRYING = "retrying"
    LATCHED = "latched"
    """Stopped after a failure that a retry would only repeat; a person has to act."""
    DISABLED = "disabled"
    NOT_CONFIGURED = "not configured"
    DISCONNECTED = "disconnected"
    """Not connected, and the orchestrator says no more."""
    UNKNOWN = "unknown"
    """The orchestrator cannot be asked."""


@dataclass(frozen=True)
class StoredStatus:
    """The part of a `ConnectionStatus` that is known before there is a connection."""

    state: ConnectionState
    messages_received: int
    last_message_at: datetime | None
    last_connected_at: None = None
    attempt: int = 0
    next_attempt_at: None = None
    connection_error: None = None
    hint: None = None
    paused: None = None
    refused_filters: tuple[()] = ()
    requires_restart: bool = False
    waiting_changes: tuple[()] = ()


@dataclass(frozen=True)
class StoredProduct:
    """The part of a `ProductState`, its product included, that is known before an orchestrator
    runs."""

    id: int
    name: str
    description: str
    enabled: bool
    broker: str | None
    status: StoredStatus | None
    subscriptions_total: int
    subscriptions_enabled: int
    actions_dead: int = 0
    unknown_since: None = None
    problem: None = None

    @property
    def product(self) -> "StoredProduct":
        """As in a `ProductState`."""
        return self

    @property
    def state(self) -> ConnectionState:
        """As in a `ProductState`."""
        return self.status.state if self.status else ConnectionState.NOT_CONFIGURED


Listed: TypeAlias = "ProductState | StoredProduct"
"""What a list of products shows of one."""

DEGRADED = "degraded"


def word_of(product: Listed) -> str:
    """The state of a connection, or that it is degraded: connected, but the broker refused some of
    the filters, or nothing is taken at present."""
    status, state = product.status, product.state
    if state is ConnectionState.CONNECTED and status and (status.refused_filters or status.paused):
        return DEGRADED
    return state.value
