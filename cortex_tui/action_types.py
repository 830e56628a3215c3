"""The types of actions that are known here, what each takes, and what looks like a slip. Pure."""

from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import NamedTuple

from cortex_tui.models import Action

FIELDS = {
    "conditional_email": ("template", "recipients", "params"),
    "activate_policy": ("params",),
    "webhook": ("params",),
    "publish": ("topic", "payload", "qos", "retain"),
    "record": ("params",),
}
"""What an action of each type takes, beside its `type` and a `condition`."""


class Slip(NamedTuple):
    """What is not known here, and what was perhaps meant, where that looks like something."""

    unknown: str
    meant: str | None


def slips(actions: Iterable[Action]) -> Iterator[Slip]:
    """What was perhaps not meant so: no error, since another orchestrator may know it."""
    for number, action in enumerate(actions, 1):
        if action.type not in FIELDS:
            yield Slip(f"action {number}: unknown type {action.type!r}", _like(action.type, FIELDS))
            continue
        known = ("type", "condition", *FIELDS[action.type])
        for key in action.model_dump():
            if key not in known:
                yield Slip(f"action {number}: {action.type} takes no {key!r}", _like(key, known))


def _like(name: str, known: Collection[str]) -> str | None:
    return next(iter(get_close_matches(name, known, 1)), None)
