"""How failures read on the wire, and in the OpenAPI document.

`{"detail": …}` as in the reference, and `hint` beside it where there is advice. What nobody
foresaw is 500 with the reference's words; its cause goes to the log only.
"""

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from cortex_tui.backend import (
    BackendError,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Stale,
    Unreachable,
    Unsupported,
)
from cortex_tui.models import Model
from cortex_tui.server import examples
from cortex_tui.server.vocabulary import rejection, request_problems

_STATUS: dict[type[BackendError], int] = {
    NotFound: 404,
    Conflict: 409,
    Stale: 412,
    Unsupported: 501,
    Denied: 502,
    Unreachable: 503,
}


class Detail(Model):
    """Why a request failed."""

    detail: str
    hint: str | None = None
    """Extension: what to do about it."""


class Rejection(Model):
    """What is wrong with one value."""

    loc: tuple[str | int, ...]
    msg: str
    type: str


class Rejections(Model):
    """Every value that was rejected."""

    detail: tuple[Rejection, ...]


Responses = dict[int | str, dict[str, Any]]


def named(shown: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Examples as an OpenAPI document wants them."""
    return {name.replace("_", " "): {"value": value} for name, value in shown.items()}


def _documented(model: type[Model], description: str, **shown: dict[str, Any]) -> dict[str, Any]:
    content = {"content": {"application/json": {"examples": named(shown)}}} if shown else {}
    return {"model": model, "description": description, **content}


NOT_FOUND: Responses = {
    404: _documented(
        Detail,
        "No such product or subscription",
        product=examples.PRODUCT_NOT_FOUND,
        subscription=examples.SUBSCRIPTION_NOT_FOUND,
    )
}
CONFLICT: Responses = {409: _documented(Detail, "The name is taken")}
NOT_NOW: Responses = {409: _documented(Detail, "The product is not configured, or is disabled")}
STALE: Responses = {412: _documented(Detail, "The configuration was changed meanwhile")}
BODY: Responses = {
    408: _documented(Detail, "The body did not arrive in time"),
    413: _documented(Detail, "The body is over 1 MiB"),
}
INVALID: Responses = {
    422: _documented(
        Rejections,
        "Values were rejected",
        missing=examples.HOST_MISSING,
        out_of_range=examples.PORT_TOO_LARGE,
    )
}
ANYWHERE: Responses = {
    401: _documented(Detail, "The bearer token is missing or wrong"),
    403: _documented(Detail, "A web page of another site asked"),
    421: _documented(Detail, "The Host header names another server"),
    500: _documented(Detail, "Nobody foresaw this", error=examples.INTERNAL_ERROR),
    501: _documented(Detail, "This orchestrator cannot do that"),
    502: _documented(Detail, "The orchestrator behind this one refuses"),
    503: _documented(Detail, "The orchestrator cannot be asked at present"),
}


def add_error_handlers(app: FastAPI) -> None:
    """Answer failures of values and of the backend in the reference's shapes."""

    @app.exception_handler(RequestValidationError)
    async def rejected(_: Request, error: RequestValidationError) -> Response:
        problems = request_problems(error.errors())
        return JSONResponse({"detail": [rejection(problem) for problem in problems]}, 422)

    @app.exception_handler(Invalid)
    async def rejected_by_backend(_: Request, error: Invalid) -> Response:
        details = [rejection(problem) for problem in error.problems]
        for detail in details:
            detail["loc"] = ["body", *detail["loc"]]
        return JSONResponse({"detail": details}, 422)

    @app.exception_handler(BackendError)
    async def failed(_: Request, error: BackendError) -> Response:
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), None)
        if status is None:
            raise error
        answer = Detail(detail=error.message, hint=error.hint or None)
        return Response(
            answer.model_dump_json(exclude_none=True), status, media_type="application/json"
        )
