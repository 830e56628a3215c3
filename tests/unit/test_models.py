"""The nouns of the API: every default and limit of the reference, and what must never show."""

import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, ValidationError
from rich.pretty import pretty_repr

from cortex_tui.backend import field_problems
from cortex_tui.models import (
    MAX_ACTION_DEPTH,
    MAX_ACTIONS,
    TLS_MATERIAL,
    Action,
    BrokerConfig,
    ConfigDocument,
    ConfigDraft,
    ConnectionStatus,
    ConnectionTest,
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
from cortex_tui.states import ConnectionState
from cortex_tui.values import MASK, MAX_DESCRIPTION, MAX_NAME, STORED, wire_time
from tests.certificates import Authority

WIRE_TIME = "2026-01-23T14:03:25.590525"
MOMENT = datetime(2026, 1, 23, 14, 3, 25, 590525, tzinfo=UTC)
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
SECRET = "correct horse battery staple"

# The answer of the reference's §1, as it stands there.
BROKER = {
    "host": "api.platform.integrations.habit.io",
    "port": 8889,
    "use_tls": True,
    "verify_cert": False,
    "username": "habit-bre-tyres",
    "password": "***",
    "client_id": None,
    "keep_alive": 60,
    "clean_session": True,
}
TOPICS = {
    "prefix": "/v3/applications",
    "pattern": "{application_id}/business-events",
    "use_shared": True,
    "shared_group": "bre",
    "qos": 1,
}
CONFIG = {
    "id": 1,
    "product_id": 2,
    "broker": BROKER,
    "topics": TOPICS,
    "created_at": WIRE_TIME,
    "updated_at": WIRE_TIME,
}
SUBSCRIPTION = {
    "id": 1,
    "name": "payment_marked_as_pending",
    "topic": "/v3/applications/ABC123/business-events",
    "enabled": True,
    "description": "Handles pending payment events",
    "actions": [
        {
            "type": "conditional_email",
            "condition": "payment.status == 'pending'",
            "template": "payment_pending",
        }
    ],
    "stats": {
        "messages_received": 145,
        "last_message_at": "2026-01-23T13:45:22.123456",
        "actions_executed": 145,
        "actions_failed": 0,
    },
    "created_at": "2026-01-22T10:00:00.000000",
    "updated_at": WIRE_TIME,
}
STATUS = {
    "product_id": 2,
    "connected": True,
    "last_connected_at": "2026-01-23T14:00:00.000000",
    "last_disconnected_at": None,
    "connection_error": None,
    "messages_received": 1247,
    "last_message_at": "2026-01-23T14:05:30.123456",
    "subscribed_topics_count": 12,
    "client_id": "bre-tyres-instance-2-abc123",
    "broker_info": {"version": "5.0", "max_qos": 2},
    "updated_at": "2026-01-23T14:05:35.000000",
}
DOCUMENT = {
    "product_id": 2,
    "mqtt_config": CONFIG,
    "subscriptions": [SUBSCRIPTION],
    "status": STATUS,
}
NOT_CONFIGURED = {
    "product_id": 2,
    "mqtt_config": None,
    "subscriptions": None,
    "status": None,
    "message": "MQTT not configured for this product",
}


def _refused(model: type[BaseModel], values: dict[str, Any]) -> tuple[str, str]:
    """Where the one problem with `values` is, and what is said about it."""
    with pytest.raises(ValidationError) as refusal:
        model.model_validate(values)
    (problem,) = field_problems(refusal.value)
    return ".".join(str(part) for part in problem.loc), problem.message


def _contains(whole: Any, part: Any) -> bool:
    """Whether `whole` has every field and value of `part`, and perhaps more."""
    if isinstance(part, dict):
        return all(key in whole and _contains(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(_contains, whole, part))
    return bool(whole == part)


# -- the reference's own examples -------------------------------------------------------------


@pytest.mark.parametrize("example", [DOCUMENT, NOT_CONFIGURED])
def test_a_document_is_answered_as_the_reference_writes_it(example: dict[str, Any]) -> None:
    document = ConfigDocument.model_validate(example, context=STORED)
    assert _contains(json.loads(document.model_dump_json()), example)
    again = ConfigDocument.model_validate_json(document.model_dump_json(), context=STORED)
    assert again.model_dump(mode="json") == document.model_dump(mode="json")


def test_unknown_fields_are_ignored() -> None:
    assert Product.model_validate({"id": 1, "name": "Tyres", "colour": "black"}).id == 1


def test_defaults_of_the_reference() -> None:
    broker = BrokerConfig(host="localhost")
    assert {getattr(broker, name) for name in TLS_MATERIAL} == {None}
    assert broker.model_dump(exclude=set(TLS_MATERIAL)) == {
        "host": "localhost",
        "port": 1883,
        "use_tls": False,
        "verify_cert": True,
        "username": None,
        "password": None,
        "client_id": None,
        "keep_alive": 60,
        "clean_session": True,
    }
    assert TopicsConfig().model_dump() == TOPICS
    documented = {
        "host": "localhost",
        "port": 1883,
        "use_tls": False,
        "verify_cert": True,
        "username": None,
        "password": None,
    }
    assert _contains(ConnectionTest(host="localhost").model_dump(), documented)


# -- limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "field", "accepted", "refused"),
    [
        (BrokerConfig, "port", [1, 65_535], [0, 65_536, -1, "mqtt", 1.5, None]),
        (ConnectionTest, "port", [1, 65_535], [0, 65_536, None]),
        (BrokerConfig, "keep_alive", [0, 60, 65_535], [-1, 65_536, "never", None]),
        (BrokerConfig, "use_tls", [True, False], [2, None, "perhaps"]),
        (BrokerConfig, "verify_cert", [True, False], [None]),
        (BrokerConfig, "clean_session", [True, False], [None]),
        (BrokerConfig, "host", ["localhost", "::1"], ["", "a..b", "mqtt://a", None, 7]),
        (ConnectionTest, "host", ["localhost", "::1"], ["", "a..b", "mqtt://a", None, 7]),
        (BrokerConfig, "username", ["alice", None, "", "x" * 65_535], ["a\0", " ", "x" * 65_536]),
        (ConnectionTest, "username", ["alice", None, "", "x" * 65_535], ["a\0", " ", 7]),
        (BrokerConfig, "client_id", ["bre", None, "", "x" * 65_535], ["a\n", "x" * 65_536]),
        (TopicsConfig, "qos", [0, 1, 2], [-1, 3, "high", None]),
        (TopicsConfig, "use_shared", [True, False], [None]),
        (TopicsConfig, "shared_group", ["bre"], ["", "a/b", "+", "#", None]),
        (TopicsConfig, "prefix", ["", "/v3"], ["#", "{application_id}", None]),
        (TopicsConfig, "pattern", ["{application_id}/x"], ["", "{x}", "a#", None]),
        (ProductDraft, "name", ["x", "x" * MAX_NAME], ["", "  ", "x" * (MAX_NAME + 1), "a\tb"]),
        (ProductChange, "name", ["x"], ["", "x" * (MAX_NAME + 1), "\x1b[2J", None]),
        (
            ProductDraft,
            "description",
            ["", "two\nlines", "x" * MAX_DESCRIPTION],
            ["x" * (MAX_DESCRIPTION + 1), "\ud800", "\0", None],
        ),
        (SubscriptionDraft, "name", ["x"], ["", "x" * (MAX_NAME + 1), "a\nb"]),
        (SubscriptionDraft, "topic", ["a/#", None, ""], ["a/#/b", "$share/g/a", 7]),
        (SubscriptionDraft, "application_id", ["ABC123", None, ""], ["a/b", "+"]),
        (SubscriptionDraft, "event", ["*", "paid", None, ""], ["a\nb", "x" * (MAX_NAME + 1)]),
        (
            SubscriptionDraft,
            "actions",
            [[], [{"type": "record"}] * MAX_ACTIONS],
            [[{"type": "record"}] * (MAX_ACTIONS + 1), None],
        ),
        (SubscriptionChange, "enabled", [True, False], [None, "perhaps"]),
        (SubscriptionChange, "topic", ["a/#", None, ""], ["a/#/b"]),
        (Action, "type", ["record", "x" * MAX_NAME], ["", "x" * (MAX_NAME + 1), None]),
        (Action, "params", [{}, {"a": [1]}, None], [[1], "a"]),
    ],
)
def test_limits(
    model: type[BaseModel], field: str, accepted: list[Any], refused: list[Any]
) -> None:
    required = {"host": "localhost", "name": "x", "type": "record"}
    base = {key: value for key, value in required.items() if key in model.model_fields}
    for value in accepted:
        model.model_validate({**base, field: value})
    for value in refused:
        where, message = _refused(model, {**base, field: value})
        assert where == field
        assert message


@pytest.mark.parametrize(
    ("model", "missing"),
    [
        (BrokerConfig, "host"),
        (ConnectionTest, "host"),
        (ProductDraft, "name"),
        (SubscriptionDraft, "name"),
        (Action, "type"),
    ],
)
def test_what_is_required(model: type[BaseModel], missing: str) -> None:
    where, message = _refused(model, {})
    assert where == missing
    assert "required" in message


def test_a_draft_needs_both_halves() -> None:
    with pytest.raises(ValidationError) as refusal:
        ConfigDraft.model_validate({})
    assert [problem.loc for problem in field_problems(refusal.value)] == [("broker",), ("topics",)]
    where, _ = _refused(ConfigDraft, {"broker": {"host": "a", "port": 0}, "topics": {}})
    assert where == "broker.port"


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (BrokerConfig, "username"),
        (BrokerConfig, "client_id"),
        (SubscriptionDraft, "topic"),
        (SubscriptionDraft, "application_id"),
        (SubscriptionDraft, "event"),
        (SubscriptionChange, "topic"),
    ],
)
def test_blank_is_none(model: type[BaseModel], field: str) -> None:
    values = {"host": "localhost", "name": "x", field: ""}
    assert getattr(model.model_validate(values), field) is None


def test_names_are_trimmed() -> None:
    assert ProductDraft(name="  Tyre insurance ").name == "Tyre insurance"
    assert BrokerConfig(host=" [::1] ").host == "::1"


def test_a_topic_in_full_needs_no_application_id() -> None:
    where, message = _refused(
        SubscriptionDraft, {"name": "x", "topic": "a", "application_id": "ABC123"}
    )
    assert where == "application_id"
    assert "topic and application_id are both set" in message


@pytest.mark.parametrize(("host", "address"), [("localhost", "localhost:1"), ("::1", "[::1]:1")])
def test_address(host: str, address: str) -> None:
    assert BrokerConfig(host=host, port=1).address == address
    assert ConnectionTest(host=host, port=1).address == address


@pytest.mark.parametrize("model", [Product, ProductDraft, BrokerConfig, Subscription, Action])
def test_models_do_not_change(model: type[BaseModel]) -> None:
    made = model.model_validate({**SUBSCRIPTION, "host": "localhost", "type": "record"})
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, next(iter(model.model_fields)), "x")


# -- certificates and keys --------------------------------------------------------------------


def test_of_pem_text_only_what_belongs_there_is_kept(authority: Authority) -> None:
    """Many files hold both, and text of OpenSSL around them."""
    alice = authority.client("alice-of-both")
    cert, key = alice.cert.read_text(), alice.key.read_text()
    file = f"Certificate:\n  Data:\n{cert}{authority.cert.read_text()}Key:\n{key}"
    broker = BrokerConfig.model_validate(
        {
            "host": "a",
            "ca_cert": file,
            "client_cert": file.replace("\n", "\r\n"),
            "client_key": file,
        }
    )
    assert broker.ca_cert == broker.client_cert == cert + authority.cert.read_text()
    assert broker.new_key is not None
    assert broker.new_key.get_secret_value() == key


@pytest.mark.parametrize(
    ("end", "indent", "columns"),
    [("\r", "", 64), ("\r\n", "    ", 76), ("", "", 64), ("\n\n", "", 20)],
)
def test_pem_text_is_the_same_however_its_lines_are_pasted(
    authority: Authority, end: str, indent: str, columns: int
) -> None:
    """Terminals send CR for a line end; documents indent; some wrap otherwise, or not at all."""
    alice = authority.client("alice-pasted")

    def pasted(file: Path) -> str:
        start, *content, last = file.read_text().split("\n")[:-1]
        joined = "".join(content)
        wrapped = [joined[at : at + columns] for at in range(0, len(joined), columns)]
        return "".join(f"{indent}{line}{end}" for line in [start, *wrapped, last])

    broker = BrokerConfig.model_validate(
        {"host": "a", "client_cert": pasted(alice.cert), "client_key": pasted(alice.key)}
    )
    assert broker.client_cert == alice.cert.read_text()
    assert broker.new_key is not None
    assert broker.new_key.get_secret_value() == alice.key.read_text()


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"ca_cert": "/etc/ca.pem"}, "ca_cert is no certificate in PEM form: it starts with"),
        ({"ca_cert": "-----BEGIN CERTIFICATE-----\nAAAA"}, "ca_cert is no certificate"),
        ({"client_cert": "x"}, "client_cert is no certificate in PEM form"),
        ({"client_key": SECRET, "client_cert": CERTIFICATE}, "client_key is no private key"),
        ({"client_key": KEY}, "client_key is set without its certificate: give client_cert too"),
        (
            {"client_key": KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"), "client_cert": CERTIFICATE},
            "client_key is protected by a passphrase: give it without one",
        ),
        (
            {
                "client_key": KEY.replace("AAAA", "Proc-Type: 4,ENCRYPTED"),
                "client_cert": CERTIFICATE,
            },
            "client_key is protected by a passphrase: give it without one",
        ),
    ],
)
def test_what_is_no_certificate_or_key(values: dict[str, str], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as error:
        BrokerConfig.model_validate({"host": "a", **values})
    assert SECRET not in str(error.value)


def test_a_key_never_shows() -> None:
    values = {"host": "a", "client_cert": CERTIFICATE, "client_key": KEY}
    for shown in (BrokerConfig.model_validate(values), ConnectionTest.model_validate(values)):
        assert shown.new_key is not None
        assert "PRIVATE" not in repr(shown) + shown.model_dump_json() + repr(shown.model_dump())
        assert shown.model_dump()["client_key"] == MASK
    for kept in ("", "***", None):
        assert BrokerConfig.model_validate({**values, "client_key": kept}).new_key is None


# -- secrets ----------------------------------------------------------------------------------

ACCESS = [BrokerConfig, ConnectionTest]


@pytest.mark.parametrize("model", ACCESS)
def test_a_secret_never_shows(model: type[BrokerConfig] | type[ConnectionTest]) -> None:
    access = model(host="localhost", username="alice", password=SecretStr(SECRET))
    assert access.new_password is not None
    assert access.new_password.get_secret_value() == SECRET
    shown = [
        repr(access),
        str(access),
        f"{access}",
        repr(access.model_dump()),
        repr(access.model_dump(mode="json")),
        access.model_dump_json(),
        repr(dict(access)),
        pretty_repr(access),
    ]
    assert not [text for text in shown if SECRET in text]
    assert access.model_dump()["password"] == MASK
    assert json.loads(access.model_dump_json())["password"] == MASK


@pytest.mark.parametrize("model", ACCESS)
@pytest.mark.parametrize(
    "values",
    [
        {"host": "a..b", "username": "alice", "password": SECRET},
        {"host": "a", "port": 0, "username": "alice", "password": SECRET},
        {"host": "a", "username": "\0", "password": SECRET},
        {"host": "a", "password": SECRET},
        {"host": "a", "username": "alice", "password": [SECRET]},
        {"host": "a", "username": "alice", "password": {"is": SECRET}},
        {"host": "a", "username": "alice", "password": SECRET + "\0"},
        {"host": "a", "username": "alice", "password": SECRET + "\ud800"},
        {"host": "a", "username": "alice", "password": SECRET * 3_000},
        {"host": f"mqtt://alice:{SECRET}@a"},
        {"host": f"alice:{SECRET}@a"},
        {"username": "alice", "password": SECRET},
    ],
)
def test_an_error_never_holds_a_secret(model: type[BaseModel], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refusal:
        model.model_validate(values)
    assert SECRET not in str(refusal.value)
    assert SECRET not in repr(refusal.value)
    problems = field_problems(refusal.value)
    assert problems
    assert SECRET not in repr(problems)


@pytest.mark.parametrize("model", ACCESS)
@pytest.mark.parametrize("keeps", [None, "", MASK, SecretStr(""), SecretStr(MASK)])
def test_what_means_the_stored_password(
    model: type[BrokerConfig] | type[ConnectionTest], keeps: object
) -> None:
    for username in (None, "alice"):
        values = {"host": "localhost", "username": username, "password": keeps}
        assert model.model_validate(values).new_password is None


@pytest.mark.parametrize("model", ACCESS)
def test_a_password_needs_a_user_name(model: type[BaseModel]) -> None:
    for username in (None, ""):
        where, message = _refused(
            model, {"host": "localhost", "username": username, "password": "secret"}
        )
        assert where == "password"
        assert message == "password is set without a user name: give the username too"


def test_only_a_set_password_is_masked() -> None:
    assert BrokerConfig(host="a").model_dump()["password"] is None
    assert BrokerConfig(host="a", password=SecretStr("")).model_dump()["password"] is None


@pytest.mark.parametrize("size", [1, 65_535])
def test_a_password_as_long_as_the_protocol_allows(size: int) -> None:
    values = {"host": "a", "username": "alice", "password": "x" * size}
    new = BrokerConfig.model_validate(values).new_password
    assert new is not None
    assert len(new) == size


# -- times ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        WIRE_TIME,
        WIRE_TIME + "Z",
        "2026-01-23T15:03:25.590525+01:00",
        MOMENT,
        MOMENT.replace(tzinfo=None),
        MOMENT.astimezone(timezone(timedelta(hours=-9))),
    ],
)
def test_times_are_utc_and_written_as_in_the_reference(given: object) -> None:
    product = Product.model_validate({"id": 1, "name": "x", "created_at": given})
    assert product.created_at == MOMENT
    assert product.created_at.tzinfo is UTC
    assert json.loads(product.model_dump_json())["created_at"] == WIRE_TIME
    assert wire_time(product.created_at) == WIRE_TIME


def test_a_time_on_the_second_has_its_microseconds() -> None:
    assert wire_time(datetime(2026, 1, 22, 10, tzinfo=UTC)) == "2026-01-22T10:00:00.000000"


@given(
    st.datetimes(
        min_value=datetime(2, 1, 1),
        max_value=datetime(9998, 12, 31),
        timezones=st.timezones(),
    )
)
def test_times_survive_the_wire(moment: datetime) -> None:
    read = Product.model_validate({"id": 1, "name": "x", "created_at": wire_time(moment)})
    assert read.created_at == moment.astimezone(UTC)


@pytest.mark.parametrize(
    "given", ["yesterday", "", "2026-13-01", "0001-01-01T00:00:00+01:00", [2026], {}, 1e300]
)
def test_nonsense_is_no_time(given: object) -> None:
    where, _ = _refused(Product, {"id": 1, "name": "x", "created_at": given})
    assert where == "created_at"


# -- actions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"type": "record"},
        {"type": "activate_policy", "params": {"policy_id": "{{event.policy_id}}"}},
        {"type": "conditional_email", "condition": "a == 1", "template": "t"},
        {"type": "conditional_email", "condition": None},
        {"type": "future", "retries": 3, "to": ["a@example.org"], "nested": {"a": [None, 1.5]}},
        {"type": "x", "model_dump": 1, "copy": True, "": "empty", "ключ": "значение"},
    ],
)
def test_an_action_comes_back_as_it_was_given(given: dict[str, Any]) -> None:
    action = Action.model_validate(given)
    assert action.model_dump() == given
    assert json.loads(action.model_dump_json()) == given
    draft = SubscriptionDraft.model_validate({"name": "x", "actions": [given]})
    assert draft.model_dump()["actions"] == (given,)
    assert json.loads(draft.model_dump_json())["actions"] == [given]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**53), max_value=2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(st.dictionaries(st.text().filter(lambda key: key not in Action.model_fields), JSON))
def test_an_action_keeps_whatever_json_it_is_given(extra: dict[str, Any]) -> None:
    given = {"type": "future", **extra}
    assert json.loads(Action.model_validate(given).model_dump_json()) == given
    assert Action.model_validate_json(json.dumps(given)).model_dump() == given


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"params": _nested(MAX_ACTION_DEPTH)}, "30 levels"),
        ({"deep": _nested(100_000)}, "30 levels"),
        ({"params": {"a": float("nan")}}, "nan, which is no JSON number"),
        ({"params": {"a": [float("-inf")]}}, "-inf, which is no JSON number"),
        ({"params": {"a": "\ud800"}}, "surrogate"),
        ({"params": {"\udfff": 1}}, "surrogate"),
        ({"condition": "\ud800"}, "surrogate"),
    ],
)
def test_an_action_is_json_that_can_be_written(extra: dict[str, Any], problem: str) -> None:
    where, message = _refused(SubscriptionDraft, {"name": "x", "actions": [{"type": "x", **extra}]})
    assert where == "actions.0"
    assert problem in message


def test_a_deep_action_can_still_be_written() -> None:
    draft = SubscriptionDraft.model_validate(
        {"name": "x", "actions": [{"type": "x", "params": _nested(MAX_ACTION_DEPTH - 1)}]}
    )
    assert SubscriptionDraft.model_validate_json(draft.model_dump_json()) == draft


# -- partial updates --------------------------------------------------------------------------


def test_only_what_was_set_counts() -> None:
    change = SubscriptionChange.model_validate({"enabled": False})
    assert change.model_dump(exclude_unset=True) == {"enabled": False}
    change = SubscriptionChange.model_validate({"topic": None, "description": ""})
    assert change.model_dump(exclude_unset=True) == {"topic": None, "description": ""}
    assert ProductChange.model_validate({}).model_fields_set == set()


# -- what is stored already -------------------------------------------------------------------

BAD_CONFIG = {
    **CONFIG,
    "broker": {**BROKER, "host": "mqtt://a..b:1883/", "username": None, "client_id": "\x07"},
    "topics": {**TOPICS, "prefix": "#", "pattern": "{tenant", "shared_group": "a/b"},
}


def test_stored_values_are_read_however_bad_they_are() -> None:
    with pytest.raises(ValidationError):
        MqttConfig.model_validate(BAD_CONFIG)
    config = MqttConfig.model_validate(BAD_CONFIG, context=STORED)
    assert config.broker.host == "mqtt://a..b:1883/"
    assert config.broker.client_id == "\x07"
    assert config.topics.pattern == "{tenant"
    assert config.topics.shared_group == "a/b"

    document = {**DOCUMENT, "mqtt_config": BAD_CONFIG}
    read = ConfigDocument.model_validate_json(json.dumps(document), context=STORED)
    assert read.mqtt_config == config


def test_a_stored_subscription_may_be_beyond_our_limits() -> None:
    stored = {
        **SUBSCRIPTION,
        "name": "x" * (MAX_NAME + 1),
        "description": "x" * (MAX_DESCRIPTION + 1),
        "topic": "a/#/b",
        "actions": [{"type": "record"}] * (MAX_ACTIONS + 1),
    }
    read = Subscription.model_validate(stored, context=STORED)
    assert read.topic == "a/#/b"
    assert len(read.actions) == MAX_ACTIONS + 1


def test_stored_drafts_are_read_too() -> None:
    stored = {"name": "", "topic": "#/#", "application_id": "a/b", "event": "\n"}
    draft = SubscriptionDraft.model_validate(stored, context=STORED)
    assert (draft.topic, draft.application_id, draft.event) == ("#/#", "a/b", "\n")
    access = ConnectionTest.model_validate({"host": "", "password": "x" * 70_000}, context=STORED)
    assert access.host == ""


# -- status and state -------------------------------------------------------------------------


def test_a_connected_status_without_a_state_reads_connected() -> None:
    assert ConnectionStatus.model_validate(STATUS).state is ConnectionState.CONNECTED
    down = {**STATUS, "connected": False}
    assert ConnectionStatus.model_validate(down).state is ConnectionState.DISCONNECTED
    told = {**down, "state": "latched"}
    assert ConnectionStatus.model_validate(told).state is ConnectionState.LATCHED


def test_a_product_never_shows_a_stale_state() -> None:
    product = Product(id=2, name="Tyres")
    status = ConnectionStatus.model_validate(STATUS)
    assert ProductState(product=product).state is ConnectionState.NOT_CONFIGURED
    assert ProductState(product=product, status=status).state is ConnectionState.CONNECTED
    lost = ProductState(product=product, status=status, unknown_since=MOMENT)
    assert lost.state is ConnectionState.UNKNOWN
    assert lost.status == status


def test_models_cross_processes() -> None:
    document = ConfigDocument.model_validate(DOCUMENT, context=STORED)
    assert pickle.loads(pickle.dumps(document)) == document
