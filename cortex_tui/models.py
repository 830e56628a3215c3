"""The nouns of the API reference: the one definition of every field, its default and its limit.

What an orchestrator answers and what a person may ask for are the same classes here, in the
reference's own field names. Fields beyond the reference are optional and marked "extension". What
may stand in a field is said in `values`.

Drafts are checked beyond the reference's letter, so that a mistake is found where it is typed.
"""

import re
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from cortex_tui import syntax
from cortex_tui.states import ConnectionState
from cortex_tui.values import (
    MAX_NAME,
    STORED,
    ApplicationId,
    CertificatePem,
    Description,
    Name,
    Password,
    PrivateKey,
    Timestamp,
    Topic,
    TopicName,
    blank_is_none,
    brought,
    checked,
)

MAX_ACTIONS = 50
MAX_TEST_FILTERS = 1_000
MAX_ACTION_DEPTH = 30
"""Levels of objects and lists in an action; a JSON writer must be able to follow them."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class Model(BaseModel):
    """Immutable, and silent about rejected input in its errors: it may be a secret."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="ignore")


# -- products (extension) ---------------------------------------------------------------------


class ProductDraft(Model):
    """What a person gives to make a product."""

    name: Name
    description: Description = ""
    enabled: bool = True


class ProductChange(Model):
    """A partial update: only the fields that were set count (`model_fields_set`)."""

    name: Name = ""
    description: Description = ""
    enabled: bool = True


class Product(Model):
    """One event-driven product. A product that is not `enabled` has no connection."""

    id: int
    name: str
    description: str = ""
    enabled: bool = True
    created_at: Timestamp | None = None
    updated_at: Timestamp | None = None


# -- configuration (API reference §1, §2) -----------------------------------------------------

TLS_MATERIAL = frozenset({"ca_cert", "client_cert", "client_key"})
"""Fields of a broker beyond the reference. One that a draft does not name keeps what is stored:
whoever knows only the reference does not lose them. A null certificate is removed, and with
`client_cert` goes its key."""


class BrokerAccess(Model):
    """Where a broker is and who asks: what a configuration (§2) and a test (§3) have in common."""

    host: Annotated[str, checked(syntax.host)]
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    use_tls: bool = False
    verify_cert: bool = True
    username: Annotated[
        Annotated[str, checked(syntax.username)] | None,
        BeforeValidator(blank_is_none),
    ] = None
    password: Password = None
    ca_cert: CertificatePem = None
    """Extension: the authorities to trust instead of those this machine knows, as PEM text."""
    client_cert: CertificatePem = None
    """Extension: the certificate we show to the broker, with its chain, as PEM text."""
    client_key: PrivateKey = None
    """Extension: its private key, as PEM text without a passphrase. A secret like the password."""

    @field_validator("password")
    @classmethod
    def _password_needs_a_name(
        cls, password: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if _lacks("username", brought(password), info):
            raise ValueError("password is set without a user name: give the username too")
        return password

    @field_validator("client_key")
    @classmethod
    def _key_needs_its_certificate(
        cls, key: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if _lacks("client_cert", brought(key), info):
            raise ValueError("client_key is set without its certificate: give client_cert too")
        return key

    @property
    def new_password(self) -> SecretStr | None:
        """The password this brings, or none when the stored one is meant."""
        return brought(self.password)

    @property
    def new_key(self) -> SecretStr | None:
        """The private key this brings, or none when the stored one is meant."""
        return brought(self.client_key)

    @property
    def address(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return syntax.address(self.host, self.port)


def _lacks(owner: str, secret: SecretStr | None, info: ValidationInfo) -> bool:
    """Whether a new secret comes without what it belongs to, of which nothing else is wrong."""
    if secret is None or info.context == STORED:
        return False
    return owner in info.data and info.data[owner] is None


class BrokerConfig(BrokerAccess):
    """How a product reaches its broker (§2, "Broker Configuration")."""

    client_id: Annotated[
        Annotated[str, checked(syntax.client_id)] | None, BeforeValidator(blank_is_none)
    ] = None
    keep_alive: Annotated[int, Field(ge=0, le=65_535)] = 60
    """Seconds between pings; 0 turns them off (MQTT 5 §3.1.2.10)."""
    clean_session: bool = True


class TopicsConfig(Model):
    """Which topics a product listens to (§2, "Topics Configuration")."""

    prefix: Annotated[str, checked(syntax.topic_prefix)] = "/v3/applications"
    pattern: Annotated[str, checked(syntax.topic_pattern)] = "{application_id}/business-events"
    use_shared: bool = True
    shared_group: Annotated[str, checked(syntax.shared_group)] = "bre"
    qos: Annotated[int, Field(ge=0, le=2)] = 1


class ConfigDraft(Model):
    """The body of a PUT (§2)."""

    broker: BrokerConfig
    topics: TopicsConfig


class MqttConfig(Model):
    """A stored configuration; its password reads `***` or null (note 1)."""

    id: int
    product_id: int
    broker: BrokerConfig
    topics: TopicsConfig
    created_at: Timestamp
    updated_at: Timestamp
    version: int | None = None
    """Extension: counts the changes, for optimistic concurrency."""


class ConfigVersion(Model):
    """Extension: a configuration as it was saved once. Its secrets are no part of it."""

    version: int
    saved_at: Timestamp
    saved_by: str | None = None
    changed: tuple[str, ...] = ()
    """The fields in which it differs from the version before; none in the oldest that is kept."""
    broker: BrokerConfig
    topics: TopicsConfig


class ConfigSaved(Model):
    """The answer to a PUT (§2)."""

    status: Literal["success"] = "success"
    message: str = "MQTT configuration updated successfully"
    requires_restart: bool
    """Whether the running connection still uses an older configuration (note 2)."""
    mqtt_config: MqttConfig


# -- subscriptions (§4, §5) -------------------------------------------------------------------


def _check_json(value: object, depth: int = 0) -> None:
    """Raise `ValueError` for what Python's JSON reader lets through and no JSON writer takes."""
    if depth > MAX_ACTION_DEPTH:
        raise ValueError(f"action has more than {MAX_ACTION_DEPTH} levels: make it flatter")
    if isinstance(value, dict):
        for key, each in value.items():
            _check_json(key, depth)
            _check_json(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check_json(each, depth + 1)
    elif isinstance(value, float) and not isfinite(value):
        raise ValueError(f"action contains {value}, which is no JSON number: replace it")
    elif isinstance(value, str) and _SURROGATE.search(value):
        raise ValueError("action contains half a surrogate pair: remove it")


class Action(Model):
    """What is done with an event. Only `type` is common to all; the rest depends on it."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, extra="allow")

    type: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    condition: str | None = None
    template: str | None = None
    params: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_json(cls, data: Any) -> Any:
        _check_json(data)
        return data

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        return {key: value for key, value in dumped.items() if key in self.model_fields_set}


Actions = Annotated[tuple[Action, ...], Field(max_length=MAX_ACTIONS)]
EventName = Annotated[Name | None, BeforeValidator(blank_is_none)]


class SubscriptionDraft(Model):
    """What a person gives to make a subscription.

    `topic` none means: derived from the product's prefix and pattern with `application_id`, or
    with `+` where that is none too. `event` is the event name it takes: none for its own name,
    `*` for every event.
    """

    name: Name
    topic: Annotated[Topic | None, BeforeValidator(blank_is_none)] = None
    application_id: ApplicationId = None
    event: EventName = None
    enabled: bool = True
    description: Description = ""
    actions: Actions = ()

    @field_validator("application_id")
    @classmethod
    def _one_way_to_a_topic(cls, application_id: str | None, info: ValidationInfo) -> str | None:
        if info.context != STORED and application_id and info.data.get("topic") is not None:
            raise ValueError(
                "topic and application_id are both set: a topic given in full needs none"
            )
        return application_id


class SubscriptionChange(Model):
    """A partial update (§5): only the fields that were set count (`model_fields_set`)."""

    name: Name = ""
    topic: Annotated[Topic | None, BeforeValidator(blank_is_none)] = None
    application_id: ApplicationId = None
    event: EventName = None
    enabled: bool = True
    description: Description = ""
    actions: Actions = ()


class SubscriptionStats(Model):
    """Counters since the subscription was made (§4)."""

    messages_received: int = 0
    last_message_at: Timestamp | None = None
    actions_executed: int = 0
    actions_failed: int = 0
    """Given up: their jobs became dead letters."""
    matched: int = 0
    """Extension, as all that follows: events that set off an action, or had none to set off."""
    condition_false: int = 0
    """Events for which no condition held."""
    evaluation_failed: int = 0
    """Events that could not be read, or for which a condition could not be evaluated."""
    attempts_failed: int = 0
    """Attempts of actions that failed, whether they were repeated or not."""
    dead: int = 0
    """Dead letters that wait for a person."""
    rate_1m: float = 0.0
    """Events a second, over the last minute."""
    rate_5m: float = 0.0
    last_error: str | None = None
    last_error_at: Timestamp | None = None
    last_error_event_id: int | None = None
    """The event that met it; the history may have it no more."""


class Subscription(Model):
    """One stored subscription (§4). `topic` is the effective one, given or derived."""

    id: int
    name: str
    topic: str
    enabled: bool
    description: str = ""
    actions: tuple[Action, ...] = ()
    stats: SubscriptionStats = SubscriptionStats()
    created_at: Timestamp
    updated_at: Timestamp
    derived: bool = False
    """Extension: the topic follows the product's pattern."""
    application_id: str | None = None
    """Extension: fills the pattern; none is every application."""
    event: str | None = None
    """Extension: the event name it takes; none is its own name, `*` is every event."""


# -- connection status (§7) -------------------------------------------------------------------


class BrokerInfo(Model):
    """What the broker told at CONNACK: the negotiated protocol version and its highest QoS."""

    version: str | None = None
    max_qos: int | None = None


class RefusedFilter(Model):
    """A topic filter the broker would not grant, and the reason it gave."""

    filter: str
    reason: str
    field: str | None = None
    """The field of the topics to look at where the filter comes from them, if one is."""


class ConnectionStatus(Model):
    """A product's connection as it is now (§7); everything after `updated_at` is extension."""

    product_id: int
    connected: bool = False
    last_connected_at: Timestamp | None = None
    last_disconnected_at: Timestamp | None = None
    connection_error: str | None = None
    messages_received: int = 0
    last_message_at: Timestamp | None = None
    subscribed_topics_count: int = 0
    client_id: str | None = None
    broker_info: BrokerInfo | None = None
    updated_at: Timestamp
    state: ConnectionState = ConnectionState.DISCONNECTED
    hint: str | None = None
    """What to do about `connection_error`."""
    error_field: str | None = None
    """The field of the broker's configuration to look at for `connection_error`, where one is."""
    attempt: int = 0
    """Attempts since the last success."""
    next_attempt_at: Timestamp | None = None
    refused_filters: tuple[RefusedFilter, ...] = ()
    requires_restart: bool = False
    """A newer configuration waits for a reconnect."""
    messages_unreadable: int = 0
    """Messages that were not JSON, or too large: counted, kept, and set nothing off."""
    messages_dropped: int = 0
    """QoS 0 messages that came while too many actions waited."""
    paused: str | None = None
    """Why no messages are taken at present, though there is a connection."""
    waiting_changes: tuple[str, ...] = ()
    """The fields in which it differs from the one that runs."""
    last_disconnect_reason: str | None = None
    """Why the connection ended at `last_disconnected_at`."""
    ping_ms: int | None = None
    """Milliseconds from the last ping to its answer; none before the first."""

    @model_validator(mode="before")
    @classmethod
    def _state_from_connected(cls, data: Any) -> Any:
        if isinstance(data, dict) and "state" not in data and data.get("connected") is True:
            return {**data, "state": ConnectionState.CONNECTED}
        return data


class ConfigDocument(Model):
    """Everything about a product's MQTT (§1); all null where it is not configured."""

    product_id: int
    mqtt_config: MqttConfig | None = None
    subscriptions: tuple[Subscription, ...] | None = None
    status: ConnectionStatus | None = None
    message: str | None = None


class ProductState(Model):
    """A product at a glance: what `Backend.watch` yields. Whole every time, never a difference."""

    product: Product
    broker: str | None = None
    status: ConnectionStatus | None = None
    subscriptions_total: int = 0
    subscriptions_enabled: int = 0
    actions_pending: int = 0
    """Actions that wait for an attempt, or are being attempted."""
    actions_dead: int = 0
    """Dead letters that wait for a person."""
    unknown_since: Timestamp | None = None
    """Since when the orchestrator could not be asked; `status` is then the last that was seen."""
    problem: str | None = None
    """Why it could not be asked."""

    @property
    def state(self) -> ConnectionState:
        """The one word for this product, never a stale one."""
        if self.unknown_since is not None:
            return ConnectionState.UNKNOWN
        if self.status is not None:
            return self.status.state
        return ConnectionState.NOT_CONFIGURED


# -- connection test (§3) ---------------------------------------------------------------------


class ConnectionTest(BrokerAccess):
    """What to test (§3): values as they stand, saved or not."""

    client_id: Annotated[
        Annotated[str, checked(syntax.client_id)] | None, BeforeValidator(blank_is_none)
    ] = None
    """Extension: what the test's own client id begins with. A test never takes the given one
    itself, which would disturb the running connection."""
    filters: Annotated[tuple[str, ...], Field(max_length=MAX_TEST_FILTERS)] = ()
    """Extension: filters to subscribe to, as they would be sent to the broker."""
    round_trip_topic: Annotated[TopicName | None, BeforeValidator(blank_is_none)] = None
    """Extension: publish to this topic and see whether it comes back; none is not to."""
    time_limit: Annotated[float, Field(ge=1, le=60)] = 10
    """Extension: seconds after which the test ends, whatever the other side does."""


class ConnectionTestResult(Model):
    """How the test went (§3). Failures before CONNACK have no code and name their stage."""

    status: Literal["success", "error"]
    connected: bool
    latency_ms: int | None = None
    error: str | None = None
    details: str
