"""In what two configurations differ. Pure."""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

from cortex_tui.models import (
    TLS_MATERIAL,
    BrokerConfig,
    ConfigDraft,
    ConfigVersion,
    MqttConfig,
    TopicsConfig,
)

_SECRETS: dict[str, Callable[[BrokerConfig], object]] = {
    "password": lambda broker: broker.new_password,
    "client_key": lambda broker: broker.new_key,
}


class Difference(NamedTuple):
    """One field with its value in either configuration; a secret never shows."""

    field: str
    one: str
    other: str


Configuration = ConfigDraft | MqttConfig | ConfigVersion


def differences(one: Configuration, other: Configuration) -> list[Difference]:
    """The fields in which two configurations differ, in the order of the forms.

    A new secret differs from whatever is stored; one that is kept does not.
    """
    found = []
    for field, mine, theirs in (
        *_pairs(BrokerConfig, one.broker, other.broker),
        *_pairs(TopicsConfig, one.topics, other.topics),
    ):
        if field not in _SECRETS and mine != theirs:
            found.append(Difference(field, _shown(field, mine), _shown(field, theirs)))
    for field, brought in _SECRETS.items():
        news = [brought(each.broker) is not None for each in (one, other)]
        if any(news):
            found.append(Difference(field, *("new" if new else "kept" for new in news)))
    return found


def _pairs(
    model: type[BrokerConfig | TopicsConfig], one: Any, other: Any
) -> list[tuple[str, Any, Any]]:
    return [(field, getattr(one, field), getattr(other, field)) for field in model.model_fields]


def _shown(field: str, value: object) -> str:
    if field in TLS_MATERIAL and value is not None:
        # The text of a certificate tells nobody anything; a digest tells two apart.
        return f"PEM {hashlib.sha256(str(value).encode()).hexdigest()[:8]}"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)
