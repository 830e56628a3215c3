"""The reference's words for rejected values ("Error Responses"): pure.

The reference speaks the vocabulary of pydantic 1 (`field required`, `value_error.missing`); what
checks values here is pydantic 2. A problem becomes exactly `loc`, `msg` and `type`, and never the
rejected input: it may hold a password.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cortex_tui.backend import FieldProblem

_WORDS: Mapping[str, tuple[str, str]] = {
    "missing": ("field required", "value_error.missing"),
    "none": ("none is not an allowed value", "type_error.none.not_allowed"),
    "json_invalid": ("the body is not valid JSON", "value_error.jsondecode"),
    "not_json": (
        "the body is not sent as JSON: say Content-Type: application/json",
        "value_error.content_type",
    ),
    # numbers
    "int_type": ("value is not a valid integer", "type_error.integer"),
    "int_parsing": ("value is not a valid integer", "type_error.integer"),
    "int_parsing_size": ("value is not a valid integer", "type_error.integer"),
    "int_from_float": ("value is not a valid integer", "type_error.integer"),
    "finite_number": ("value is not a valid integer", "type_error.integer"),
    "float_type": ("value is not a valid float", "type_error.float"),
    "float_parsing": ("value is not a valid float", "type_error.float"),
    "bool_type": ("value could not be parsed to a boolean", "type_error.bool"),
    "bool_parsing": ("value could not be parsed to a boolean", "type_error.bool"),
    "less_than": ("ensure this value is less than {lt}", "value_error.number.not_lt"),
    "less_than_equal": (
        "ensure this value is less than or equal to {le}",
        "value_error.number.not_le",
    ),
    "greater_than": ("ensure this value is greater than {gt}", "value_error.number.not_gt"),
    "greater_than_equal": (
        "ensure this value is greater than or equal to {ge}",
        "value_error.number.not_ge",
    ),
    # texts
    "string_type": ("str type expected", "type_error.str"),
    "string_unicode": ("str type expected", "type_error.str"),
    "string_too_short": (
        "ensure this value has at least {min_length} characters",
        "value_error.any_str.min_length",
    ),
    "string_too_long": (
        "ensure this value has at most {max_length} characters",
        "value_error.any_str.max_length",
    ),
    "string_pattern_mismatch": (
        'string does not match regex "{pattern}"',
        "value_error.str.regex",
    ),
    "literal_error": ("unexpected value; permitted: {expected}", "value_error.const"),
    "enum": (
        "value is not a valid enumeration member; permitted: {expected}",
        "type_error.enum",
    ),
    "datetime_type": ("invalid datetime format", "value_error.datetime"),
    "datetime_parsing": ("invalid datetime format", "value_error.datetime"),
    "datetime_from_date_parsing": ("invalid datetime format", "value_error.datetime"),
    # collections and models
    "extra_forbidden": ("extra fields not permitted", "value_error.extra"),
    "list_type": ("value is not a valid list", "type_error.list"),
    "tuple_type": ("value is not a valid list", "type_error.list"),  # there is no tuple in JSON
    "too_short": (
        "ensure this value has at least {min_length} items",
        "value_error.list.min_items",
    ),
    "too_long": ("ensure this value has at most {max_length} items", "value_error.list.max_items"),
    "dict_type": ("value is not a valid dict", "type_error.dict"),
    "mapping_type": ("value is not a valid dict", "type_error.dict"),
    "model_type": ("value is not a valid dict", "type_error.dict"),
    "model_attributes_type": ("value is not a valid dict", "type_error.dict"),
}


def rejection(problem: FieldProblem) -> dict[str, Any]:
    """One entry of a 422 answer's `detail`.

    A problem without a word of the reference keeps its message: our own, or what another
    orchestrator said.
    """
    words = _WORDS.get(problem.kind)
    if words is None:
        kind = problem.kind if "." in problem.kind else "value_error"
        return {"loc": list(problem.loc), "msg": problem.message, "type": kind}
    message, kind = words
    return {
        "loc": list(problem.loc),
        "msg": message.format_map(problem.context or {}),
        "type": kind,
    }


def request_problems(errors: Iterable[Mapping[str, Any]]) -> list[FieldProblem]:
    """The problems in FastAPI's errors. The input is looked at only to tell null, and a body that
    was not read as JSON, from a value of the wrong type."""
    return [
        FieldProblem(
            loc=tuple(error["loc"]),
            message=error["msg"].removeprefix("Value error, "),
            kind=_kind(error),
            context=error.get("ctx"),
        )
        for error in errors
    ]


def _kind(error: Mapping[str, Any]) -> str:
    kind: str = error["type"]
    if kind.endswith("_type") and isinstance(error.get("input"), bytes):
        return "not_json"
    return "none" if kind.endswith("_type") and error.get("input") is None else kind
