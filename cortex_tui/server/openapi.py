"""The OpenAPI document, with the examples as the reference has them.

FastAPI leaves every null out of the document that it makes, those of an example too: there a null
is what the example shows.
"""

from typing import Any

from fastapi import FastAPI

from cortex_tui.server import examples


def describe(app: FastAPI) -> None:
    """Let `app` describe itself with whole examples."""
    generate = app.openapi
    whole: list[Any] = [value for name, value in vars(examples).items() if name.isupper()]

    def restored(node: Any) -> Any:
        if isinstance(node, dict):
            again = {key: restored(value) for key, value in node.items()}
            return next((each for each in whole if _without_nulls(each) == again), again)
        return [restored(value) for value in node] if isinstance(node, list) else node

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = restored(generate())
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
