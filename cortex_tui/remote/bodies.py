"""What is sent along with a request: drafts as bodies, and the parameters of a query."""

from typing import Any, get_args

from pydantic import SecretStr

from cortex_tui.models import Model
from cortex_tui.values import MASK


def body_of(draft: Model) -> dict[str, Any]:
    """A draft as a body, with its secrets in the clear: this is where they are meant to go.

    A secret that is to be kept is left out, which is what every reading of the reference's "leave
    blank to keep existing" has in common.
    """
    body = draft.model_dump(mode="json")
    for name, value in draft:
        if isinstance(value, Model):
            body[name] = body_of(value)
        elif isinstance(value, SecretStr) and value.get_secret_value() != MASK:
            body[name] = value.get_secret_value()
        elif SecretStr in get_args(type(draft).model_fields[name].annotation):
            del body[name]
    return body


def changes_of(change: Model) -> dict[str, Any]:
    """A partial update as a body: only the fields that were set."""
    return change.model_dump(mode="json", exclude_unset=True)


def given(**params: Any) -> dict[str, Any]:
    """The parameters of a query: only those that were given."""
    return {name: value for name, value in params.items() if value is not None}
