"""A body for every constraint of the models that the HTTP API takes, and the reference's words for
its rejection."""

from typing import Any

from cortex_tui.models import ConfigDraft, Model, ProductDraft, SubscriptionChange

BROKER = {"host": "localhost", "port": 1883}


def broker(**values: object) -> dict[str, Any]:
    return {"broker": {**BROKER, **values}, "topics": {}}


def topics(**values: object) -> dict[str, Any]:
    return {"broker": BROKER, "topics": values}


VALUES: list[tuple[type[Model], object, str, str, str]] = [
    (ConfigDraft, {"broker": {}, "topics": {}}, "broker.host", "field required", "missing"),
    (ConfigDraft, {"broker": BROKER}, "topics", "field required", "missing"),
    (
        ConfigDraft,
        broker(port=70_000),
        "broker.port",
        "ensure this value is less than or equal to 65535",
        "number.not_le",
    ),
    (
        ConfigDraft,
        broker(port=0),
        "broker.port",
        "ensure this value is greater than or equal to 1",
        "number.not_ge",
    ),
    (
        ConfigDraft,
        broker(keep_alive=65_536),
        "broker.keep_alive",
        "ensure this value is less than or equal to 65535",
        "number.not_le",
    ),
    (
        ConfigDraft,
        broker(keep_alive=-1),
        "broker.keep_alive",
        "ensure this value is greater than or equal to 0",
        "number.not_ge",
    ),
    (
        ConfigDraft,
        topics(qos=3),
        "topics.qos",
        "ensure this value is less than or equal to 2",
        "number.not_le",
    ),
    (
        ProductDraft,
        {"name": "x" * 201},
        "name",
        "ensure this value has at most 200 characters",
        "any_str.max_length",
    ),
    (
        SubscriptionChange,
        {"description": "x" * 2_001},
        "description",
        "ensure this value has at most 2000 characters",
        "any_str.max_length",
    ),
    (
        SubscriptionChange,
        {"actions": [{"type": ""}]},
        "actions.0.type",
        "ensure this value has at least 1 characters",
        "any_str.min_length",
    ),
    (
        SubscriptionChange,
        {"actions": [{"type": "record"}] * 51},
        "actions",
        "ensure this value has at most 50 items",
        "list.max_items",
    ),
]

NULLS: list[tuple[type[Model], object, str]] = [
    (ConfigDraft, broker(host=None), "broker.host"),
    (ConfigDraft, broker(port=None), "broker.port"),
    (ConfigDraft, broker(verify_cert=None), "broker.verify_cert"),
    (ConfigDraft, {"broker": None, "topics": {}}, "broker"),
    (ConfigDraft, topics(shared_group=None), "topics.shared_group"),
    (SubscriptionChange, {"enabled": None}, "enabled"),
    (SubscriptionChange, {"actions": None}, "actions"),
]

TYPES: list[tuple[type[Model], object, str, str, str]] = [
    (ConfigDraft, broker(port="x"), "broker.port", "value is not a valid integer", "integer"),
    (ConfigDraft, broker(port=1.5), "broker.port", "value is not a valid integer", "integer"),
    (ConfigDraft, broker(port=[]), "broker.port", "value is not a valid integer", "integer"),
    (
        ConfigDraft,
        broker(port=float("inf")),
        "broker.port",
        "value is not a valid integer",
        "integer",
    ),
    (
        ConfigDraft,
        broker(use_tls="perhaps"),
        "broker.use_tls",
        "value could not be parsed to a boolean",
        "bool",
    ),
    (
        ConfigDraft,
        broker(clean_session={}),
        "broker.clean_session",
        "value could not be parsed to a boolean",
        "bool",
    ),
    (ConfigDraft, broker(host=5), "broker.host", "str type expected", "str"),
    (ConfigDraft, broker(password=5), "broker.password", "str type expected", "str"),
    (ConfigDraft, {"broker": 5, "topics": {}}, "broker", "value is not a valid dict", "dict"),
    (ConfigDraft, [], "", "value is not a valid dict", "dict"),
    (
        SubscriptionChange,
        {"actions": [{"type": "x", "params": 5}]},
        "actions.0.params",
        "value is not a valid dict",
        "dict",
    ),
    (SubscriptionChange, {"actions": 5}, "actions", "value is not a valid list", "list"),
    *(
        (kind, body, where, "none is not an allowed value", "none.not_allowed")
        for kind, body, where in NULLS
    ),
]

REJECTIONS: list[tuple[type[Model], object, str, str, str]] = [
    *((*case[:4], f"value_error.{case[4]}") for case in VALUES),
    *((*case[:4], f"type_error.{case[4]}") for case in TYPES),
]


def location(where: str) -> list[str | int]:
    """`actions.0.type` as a 422 answer writes it."""
    return ["body", *(int(part) if part.isdigit() else part for part in where.split(".") if part)]
