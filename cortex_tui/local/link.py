"""What a connection is to do, and how it is doing."""

from dataclasses import dataclass
from datetime import datetime

from cortex_tui.models import BrokerConfig, BrokerInfo, RefusedFilter
from cortex_tui.states import ConnectionState


@dataclass(frozen=True)
class Plan:
    """What a connection is to do: a configuration in a form that can be run."""

    broker: BrokerConfig
    """With the stored secrets filled in."""
    client_id: str
    version: int
    """Of the configuration."""
    qos: int
    filters: frozenset[str]
    """As the broker is sent them, `$share/` included."""

    @property
    def session(self) -> tuple[str, str]:
        """What tells the session at the broker from others."""
        return self.broker.address, self.client_id


@dataclass(frozen=True)
class Link:
    """How a connection is doing: a snapshot that anybody may read."""

    state: ConnectionState
    updated_at: datetime
    client_id: str | None = None
    version: int | None = None
    """Of the configuration it runs with; none while it does not run."""
    attempt: int = 0
    error: str | None = None
    hint: str | None = None
    field: str | None = None
    """Of the broker's configuration, that the error is about."""
    next_attempt_at: datetime | None = None
    last_connected_at: datetime | None = None
    last_disconnected_at: datetime | None = None
    last_disconnect_reason: str | None = None
    ping_ms: int | None = None
    broker_info: BrokerInfo | None = None
    granted: frozenset[str] = frozenset()
    refused: tuple[RefusedFilter, ...] = ()
