"""In what two configurations differ. Pure."""

from typing import Any, NamedTuple

from cortex_tui.models import BrokerConfig, ConfigDraft, MqttConfig, TopicsConfig


class Difference(NamedTuple):
    """One field with its value in either configuration; a secret never shows."""

    field: str
    one: str
    other: str


def differences(one: ConfigDraft | MqttConfig, other: ConfigDraft | MqttConfig) -> list[Difference]:
    """The fields in which two configurations differ, in the order of the forms.

    A new password differs from whatever is stored; one that is kept does not.
    """
    found = []
    for field, mine, theirs in (
        *_pairs(BrokerConfig, one.broker, other.broker),
        *_pairs(TopicsConfig, one.topics, other.topics),
    ):
        if field != "password" and mine != theirs:
            found.append(Difference(field, _shown(mine), _shown(theirs)))
    if one.broker.new_password is not None or other.broker.new_password is not None:
        words = ["new" if each.broker.new_password else "kept" for each in (one, other)]
        found.append(Difference("password", *words))
    return found


def _pairs(
    model: type[BrokerConfig | TopicsConfig], one: Any, other: Any
) -> list[tuple[str, Any, Any]]:
    return [(field, getattr(one, field), getattr(other, field)) for field in model.model_fields]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else str(value)
