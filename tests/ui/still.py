"""An orchestrator that stands still, for pictures: every state at once, at one moment, with nothing
random in it. What it holds is what a real one would answer; nothing can be changed in it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cortex_tui.backend import BackendError, Capability, OnStage, Unsupported
from cortex_tui.diagnosis import (
    Diagnosis,
    FilterGrant,
    Grants,
    Outcome,
    Stage,
    StageResult,
)
from cortex_tui.events import (
    ActionTrial,
    ConditionTrial,
    Decision,
    Event,
    Explanation,
    Job,
    JobChoice,
    JobFailure,
    JobState,
    Publication,
    SeenValue,
    TermTrial,
    Trial,
)
from cortex_tui.events import Outcome as Decided
from cortex_tui.models import (
    Action,
    BrokerConfig,
    BrokerInfo,
    ConfigDocument,
    ConfigDraft,
    ConfigSaved,
    ConfigVersion,
    ConnectionStatus,
    ConnectionTest,
    MqttConfig,
    Product,
    ProductChange,
    ProductDraft,
    ProductState,
    RefusedFilter,
    Subscription,
    SubscriptionChange,
    SubscriptionDraft,
    SubscriptionStats,
    TopicsConfig,
)
from cortex_tui.states import ConnectionState

NOW = datetime(2026, 3, 4, 14, 30, 0, tzinfo=UTC)
TOPIC = "/v3/applications/ABC123/business-events"
FILTER = f"$share/bre/{TOPIC}"


def ago(**delta: float) -> datetime:
    return NOW - timedelta(**delta)


class Clock:
    """The time of the pictures; it stands still once all beats are told."""

    def __init__(self) -> None:
        self.at = NOW - timedelta(seconds=150)

    def __call__(self) -> datetime:
        return self.at


def _status(product_id: int, state: ConnectionState, **more: Any) -> ConnectionStatus:
    connected = state is ConnectionState.CONNECTED
    return ConnectionStatus.model_validate(
        {
            "product_id": product_id,
            "state": state,
            "connected": connected,
            "updated_at": ago(seconds=2),
            "client_id": f"cortex-{product_id}-5f3a2c",
            "last_connected_at": ago(hours=3),
            "subscribed_topics_count": 1 if connected else 0,
            "broker_info": BrokerInfo(version="5.0", max_qos=2) if connected else None,
            **more,
        }
    )


def _product(number: int, name: str, description: str = "", enabled: bool = True) -> Product:
    return Product(
        id=number,
        name=name,
        description=description,
        enabled=enabled,
        created_at=ago(days=40),
        updated_at=ago(days=2),
    )


STATES = {
    1: ProductState(
        product=_product(1, "Tyres", "Policies and payments for tyre insurance"),
        broker="mqtt.tyres.example:8883",
        status=_status(
            1, ConnectionState.CONNECTED, messages_received=1_247, last_message_at=ago(seconds=1)
        ),
        subscriptions_total=4,
        subscriptions_enabled=3,
        actions_pending=2,
        actions_dead=1,
    ),
    2: ProductState(
        product=_product(2, "Windscreen", "Repairs"),
        broker="10.0.0.7:1883",
        status=_status(
            2,
            ConnectionState.RETRYING,
            connection_error="Connection refused by 10.0.0.7:1883",
            hint="Check that the broker runs, and its port",
            attempt=7,
            next_attempt_at=NOW + timedelta(seconds=23),
            last_disconnected_at=ago(minutes=4),
            messages_received=88_310,
            last_message_at=ago(minutes=4),
        ),
        subscriptions_total=12,
        subscriptions_enabled=12,
    ),
    3: ProductState(
        product=_product(3, "Travel"),
        broker="mqtt.travel.example:8883",
        status=_status(
            3,
            ConnectionState.LATCHED,
            connection_error="Not authorized (code 5)",
            hint="Check user name and password; several brokers answer this to a wrong password",
            error_field="password",
            attempt=1,
            last_connected_at=None,
        ),
        subscriptions_total=2,
        subscriptions_enabled=2,
    ),
    4: ProductState(
        product=_product(4, "Legal", enabled=False),
        broker="localhost:1883",
        status=_status(4, ConnectionState.DISABLED, messages_received=512),
        subscriptions_total=1,
        subscriptions_enabled=1,
    ),
    5: ProductState(product=_product(5, "Drones", "Not configured yet")),
    6: ProductState(
        product=_product(6, "Pets"),
        broker="mqtt.pets.example:1883",
        status=_status(
            6,
            ConnectionState.CONNECTED,
            messages_received=40,
            last_message_at=ago(hours=2),
            refused_filters=(RefusedFilter(filter="$share/bre/pets/#", reason="Not authorized"),),
        ),
        subscriptions_total=2,
        subscriptions_enabled=2,
    ),
}


def _subscription(number: int, name: str, **more: Any) -> Subscription:
    values = {"id": number, "name": name, "topic": TOPIC, "enabled": True, "derived": True}
    values |= {"application_id": "ABC123", "created_at": ago(days=30), "updated_at": ago(days=2)}
    return Subscription.model_validate({**values, **more})


SUBSCRIPTIONS = (
    _subscription(
        1,
        "payment_marked_as_pending",
        description="Handles pending payment events",
        actions=(
            Action(
                type="conditional_email",
                condition="payment.status == 'pending'",
                template="payment_pending",
            ),
        ),
        stats=SubscriptionStats(
            messages_received=145,
            last_message_at=ago(seconds=1),
            actions_executed=140,
            actions_failed=1,
            matched=141,
            condition_false=4,
            attempts_failed=3,
            dead=1,
            rate_1m=0.4,
            rate_5m=0.3,
            last_error="answered 503 Service Unavailable",
            last_error_at=ago(minutes=2),
            last_error_event_id=1_240,
        ),
    ),
    _subscription(
        2,
        "distributor_successful_created_policy",
        description="Triggers when a distributor creates a policy",
        actions=(
            Action(type="activate_policy", params={"policy_id": "{{event.policy_id}}"}),
            Action(
                type="conditional_email",
                condition="event.sendEmail == true",
                template="policy_activated",
            ),
        ),
        stats=SubscriptionStats(
            messages_received=234, last_message_at=ago(seconds=12), actions_executed=468,
            matched=234, rate_1m=0.8, rate_5m=0.7,
        ),
    ),
    _subscription(3, "audit", topic="audit/#", derived=False, application_id=None, event="*"),
    _subscription(4, "policy_cancelled", enabled=False),
)  # fmt: skip


def _event(number: int, name: str | None, payload: object, **more: Any) -> Event:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    values = {"id": number, "product_id": 1, "at": ago(seconds=1_248 - number), "topic": TOPIC}
    values |= {"name": name, "qos": 1, "size": len(text), "payload": text}
    return Event.model_validate({**values, **more})


EVENTS = (
    _event(
        1_247,
        "payment_marked_as_pending",
        {
            "event": "payment_marked_as_pending",
            "event_id": "5b1d",
            "payment": {"status": "pending", "amount": 129.9, "currency": "EUR"},
            "customer": {"name": "Jo Doe", "vip": False, "note": None},
        },
        decisions=(Decision(subscription_id=1, outcome=Decided.MATCHED),),
    ),
    _event(
        1_246,
        "distributor_successful_created_policy",
        {"event": {"policy_id": 7}, "event_name": "distributor_successful_created_policy"},
        decisions=(
            Decision(
                subscription_id=2,
                outcome=Decided.EVALUATION_FAILED,
                error="event.sendEmail is null, not true or false",
            ),
        ),
    ),
    _event(
        1_245,
        "payment_marked_as_pending",
        {"event": "payment_marked_as_pending", "payment": {"status": "paid"}},
        decisions=(Decision(subscription_id=1, outcome=Decided.CONDITION_FALSE),),
    ),
    _event(1_244, "policy_cancelled", {"event": "policy_cancelled", "policy_id": 3}),
    _event(1_243, None, "not json at all", problem="not JSON: line 1, column 1"),
)


def _job(number: int, state: JobState, action: Action, **more: Any) -> Job:
    values = {"id": number, "key": f"{number:032x}", "product_id": 1, "subscription_id": 1}
    values |= {"action": action, "state": state, "created_at": ago(minutes=3), "attempts": 1}
    values |= {"event": EVENTS[0].payload, "event_id": 1_247}
    return Job.model_validate({**values, **more})


_MAIL, _POLICY = SUBSCRIPTIONS[0].actions[0], SUBSCRIPTIONS[1].actions[0]
JOBS = (
    _job(
        9,
        JobState.PENDING,
        _MAIL,
        attempts=2,
        due_at=NOW + timedelta(seconds=40),
        failures=(JobFailure(at=ago(seconds=9), reason="did not end within 15 s"),),
        content={"template": "payment_pending", "recipients": ["ops@example.com"], "params": {}},
    ),
    _job(8, JobState.RUNNING, _POLICY, subscription_id=2, content={"params": {"policy_id": 7}}),
    _job(
        7,
        JobState.DEAD,
        _MAIL,
        attempts=12,
        finished_at=ago(minutes=2),
        event_id=1_240,
        failures=(
            JobFailure(at=ago(minutes=40), reason="the connection broke off"),
            JobFailure(at=ago(minutes=2), reason="answered 503 Service Unavailable"),
        ),
        content={"template": "payment_pending", "recipients": ["ops@example.com"], "params": {}},
    ),
    _job(
        6,
        JobState.DONE,
        _POLICY,
        subscription_id=2,
        finished_at=ago(minutes=1),
        content={"params": {"policy_id": 5}},
    ),
    _job(
        5,
        JobState.RECORDED,
        _MAIL,
        finished_at=ago(minutes=3),
        content={"template": "payment_pending", "recipients": [], "params": {}},
    ),
)

BROKER = BrokerConfig(
    host="mqtt.tyres.example", port=8883, use_tls=True, username="habit-bre-tyres", password="***"
)
CONFIG = MqttConfig(
    id=1,
    product_id=1,
    broker=BROKER,
    topics=TopicsConfig(),
    created_at=ago(days=40),
    updated_at=ago(days=2),
    version=3,
)


class StillBackend:
    """Answers from the tables above; see `Backend`."""

    label = "still"
    problem: BackendError | None = None
    capabilities = frozenset(Capability)

    def __init__(
        self,
        clock: Clock,
        states: Mapping[int, ProductState] = STATES,
        *,
        diagnosis: Diagnosis | None = None,
    ) -> None:
        self._clock = clock
        self._states = states
        self._diagnosis = diagnosis or PASSED

    async def aclose(self) -> None:
        """Nothing is open."""

    def focus(self, product_ids: Collection[int]) -> None:
        """Nothing is polled."""

    async def watch(self) -> AsyncGenerator[Mapping[int, ProductState | None]]:
        # A past, so that there are rates to picture.
        for beat in range(30):
            yield {i: _earlier(state, 30 - beat) for i, state in self._states.items()}
            self._clock.at += timedelta(seconds=5)
        yield dict(self._states)
        await asyncio.Event().wait()

    async def products(self) -> list[Product]:
        return [state.product for state in self._states.values()]

    async def config(self, product_id: int) -> ConfigDocument:
        state = self._states[product_id]
        if state.broker is None:
            return ConfigDocument(product_id=product_id, message="MQTT not configured")
        return ConfigDocument(
            product_id=product_id,
            mqtt_config=CONFIG.model_copy(update={"product_id": product_id}),
            subscriptions=SUBSCRIPTIONS,
            status=state.status,
        )

    async def config_history(self, product_id: int) -> list[ConfigVersion]:
        def version(number: int, days: float, who: str, *changed: str, **broker: Any) -> Any:
            return ConfigVersion(
                version=number,
                saved_at=ago(days=days),
                saved_by=who,
                changed=changed,
                broker=BROKER.model_copy(update=broker),
                topics=TopicsConfig(),
            )

        return [
            version(3, 2, "jo", "use_tls", "port"),
            version(2, 9, "sam", "username", use_tls=False, port=1883),
            version(1, 40, "sam", use_tls=False, port=1883, username=None),
        ]

    async def test_connection(
        self, product_id: int, test: ConnectionTest, *, on_stage: OnStage | None = None
    ) -> Diagnosis:
        for stage in self._diagnosis.stages if on_stage else ():
            assert on_stage is not None
            on_stage(stage)
        return self._diagnosis

    async def subscriptions(self, product_id: int) -> list[Subscription]:
        return list(SUBSCRIPTIONS) if self._states[product_id].subscriptions_total else []

    async def status(self, product_id: int) -> ConnectionStatus:
        status = self._states[product_id].status
        assert status is not None
        return status

    async def events(
        self, product_id: int, *, after: int = 0, before: int | None = None, limit: int = 100
    ) -> list[Event]:
        kept = EVENTS if self._states[product_id].status else ()
        return [each for each in kept if after < each.id < (before or each.id + 1)][:limit]

    async def jobs(
        self,
        product_id: int,
        *,
        states: Collection[JobState] = tuple(JobState),
        subscription_id: int | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Job]:
        kept = JOBS if self._states[product_id].status else ()
        return [each for each in kept if each.state in states and each.id < (before or 99)]

    async def try_event(self, product_id: int, trial: Trial) -> Explanation:
        return Explanation(
            topic=TOPIC,
            name="payment_marked_as_pending",
            takes=True,
            reason="topic and event fit: it is named payment_marked_as_pending",
            actions=(
                ActionTrial(
                    type="conditional_email",
                    runs=True,
                    condition=ConditionTrial(
                        text="payment.status == 'pending'",
                        result=True,
                        terms=(
                            TermTrial(
                                text="payment.status == 'pending'",
                                seen=(SeenValue(path="payment.status", value="pending"),),
                                result=True,
                            ),
                        ),
                    ),
                    content={"template": "payment_pending", "recipients": [], "params": {}},
                    problem="there is no payment_pending.subject.txt in templates",
                ),
            ),
        )

    # -- nothing can be changed ---------------------------------------------------------------

    async def create_product(self, draft: ProductDraft) -> Product:
        raise _STILL

    async def update_product(self, product_id: int, change: ProductChange) -> Product:
        raise _STILL

    async def delete_product(self, product_id: int) -> None:
        raise _STILL

    async def save_config(
        self, product_id: int, draft: ConfigDraft, *, if_version: int | None = None, **_: Any
    ) -> ConfigSaved:
        raise _STILL

    async def create_subscription(self, product_id: int, draft: SubscriptionDraft) -> Subscription:
        raise _STILL

    async def update_subscription(
        self, product_id: int, subscription_id: int, change: SubscriptionChange
    ) -> Subscription:
        raise _STILL

    async def delete_subscription(self, product_id: int, subscription_id: int) -> None:
        raise _STILL

    async def reconnect(self, product_id: int) -> None:
        raise _STILL

    async def retry_jobs(self, product_id: int, choice: JobChoice) -> int:
        raise _STILL

    async def discard_jobs(self, product_id: int, choice: JobChoice) -> int:
        raise _STILL

    async def publish(self, product_id: int, publication: Publication) -> None:
        raise _STILL


_STILL = Unsupported("Nothing can be changed here.", "It is a picture.")


def _earlier(state: ProductState, beats: int) -> ProductState:
    """`state` as it was some beats of five seconds ago, with fewer messages."""
    if state.status is None or state.state is not ConnectionState.CONNECTED:
        return state
    fewer = sum(3 + 7 * (beat * beat % 5) for beat in range(beats)) if state.product.id == 1 else 0
    status = state.status.model_copy(
        update={"messages_received": max(0, state.status.messages_received - fewer)}
    )
    return state.model_copy(update={"status": status})


def _stage(stage: Stage, outcome: Outcome, ms: int | None, seen: str, **more: Any) -> StageResult:
    return StageResult(stage=stage, outcome=outcome, ms=ms, seen=seen, **more)


PASSED = Diagnosis(
    status="success",
    connected=True,
    latency_ms=45,
    details="Connected successfully",
    stages=(
        _stage(Stage.DNS, Outcome.OK, 3, "192.0.2.10, 192.0.2.11"),
        _stage(Stage.TCP, Outcome.OK, 11, "192.0.2.10 answered"),
        _stage(Stage.TLS, Outcome.OK, 24, "TLSv1.3, certificate for mqtt.tyres.example"),
        _stage(Stage.CONNECT, Outcome.OK, 7, "as client id test-1, MQTT 5.0"),
        _stage(Stage.SUBSCRIBE, Outcome.OK, 2, "1 of 1 filters granted"),
        _stage(Stage.ROUND_TRIP, Outcome.SKIPPED, None, "not asked for"),
    ),
    grants=Grants(
        version="5.0",
        software="mosquitto version 2.0.18",
        max_qos=2,
        retain=True,
        wildcard_subscriptions=True,
        shared_subscriptions=True,
        receive_maximum=20,
    ),
    filters=(FilterGrant(filter=FILTER, granted_qos=1),),
)
REFUSED = Diagnosis(
    status="error",
    connected=False,
    error="Connection failed with code 4",
    details="Bad username or password. Check user name and password",
    stages=(
        _stage(Stage.DNS, Outcome.OK, 3, "192.0.2.10"),
        _stage(Stage.TCP, Outcome.OK, 11, "192.0.2.10 answered"),
        _stage(Stage.TLS, Outcome.OK, 24, "TLSv1.3"),
        _stage(
            Stage.CONNECT,
            Outcome.FAILED,
            7,
            "as client id test-1",
            cause="Bad username or password",
            advice="Check user name and password",
        ),
        _stage(Stage.SUBSCRIBE, Outcome.SKIPPED, None, ""),
        _stage(Stage.ROUND_TRIP, Outcome.SKIPPED, None, ""),
    ),
)
