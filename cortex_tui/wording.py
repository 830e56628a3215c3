"""Fields by the name they have where somebody reads of them. Pure.

What is wrong with a connection is told in the names of the API (`ca_cert`, `use_tls`), and so it
stands in its answers. A person knows the same field by its label in the form, and whoever names a
broker on the command line by an option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cortex_tui.diagnosis import StageResult
    from cortex_tui.models import ConnectionTestResult

LABELS = {
    "host": "Host",
    "port": "Port",
    "use_tls": "TLS",
    "verify_cert": "Verify",
    "username": "User name",
    "password": "Password",
    "ca_cert": "CA certificate",
    "client_cert": "Client cert",
    "client_key": "Client key",
    "client_id": "Client id",
    "keep_alive": "Keep alive",
    "clean_session": "Clean session",
    "prefix": "Prefix",
    "pattern": "Pattern",
    "use_shared": "Shared",
    "shared_group": "Group",
    "qos": "QoS",
    "application_id": "Application id",
}
"""As the forms have them."""

_FIELD = re.compile(r"(?<![^\s(])[a-z]+(?:_[a-z]+)+(?=[.,:;)]*(?:\s|$))")
"""Only what no ordinary sentence has, `host` and `password` are words as well, and only where it is
a word of its own: part of a topic, a path or something quoted is somebody's text."""


def label_of(field: str) -> str:
    """What the forms call a field; one that is in none by its own name."""
    return LABELS.get(field, field)


def worded(text: str, names: Mapping[str, str] = LABELS) -> str:
    """`text`, with the fields by those `names` that there are."""
    return _FIELD.sub(lambda field: names.get(field[0], field[0]), text)


def worded_stage(told: StageResult, names: Mapping[str, str] = LABELS) -> StageResult:
    """A stage of a connection test, with the fields in its cause and advice by those `names`."""
    update = {
        field: worded(text, names)
        for field in ("cause", "advice")
        if (text := getattr(told, field)) is not None
    }
    return told.model_copy(update=update)


def worded_result(
    result: ConnectionTestResult, names: Mapping[str, str] = LABELS
) -> ConnectionTestResult:
    """What a connection test found, with the fields in its advice by those `names`."""
    from cortex_tui.diagnosis import Diagnosis

    update: dict[str, object] = {"details": worded(result.details, names)}
    if isinstance(result, Diagnosis):
        update["stages"] = tuple(worded_stage(told, names) for told in result.stages)
        update["warnings"] = tuple(worded(warning, names) for warning in result.warnings)
    return result.model_copy(update=update)
