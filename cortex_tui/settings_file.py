"""Reading `config.toml`: what is wrong in it is told in its own words."""

import json
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from cortex_tui.backend import field_problems
from cortex_tui.delivery_settings import DeliverySettings, Section
from cortex_tui.files import reason
from cortex_tui.settings import Context, Settings, SettingsError

UNKNOWN = "unknown key"
_NO_SETTING = float("nan")
"""Stands for a date or a time of TOML: no key takes either."""


def load(path: Path, *, without: Collection[str] = ()) -> Settings:
    """The settings in `path`, as if those keys `without` were not there; the defaults where there
    is no such file. Raises `SettingsError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {reason(error)}", "Check the file.") from None
    try:
        values = tomllib.loads(text)
        given = json.dumps(
            {key: value for key, value in values.items() if key not in without},
            default=lambda _: _NO_SETTING,
        )
    except tomllib.TOMLDecodeError as error:
        last = f"at the end, line {len(text.splitlines())}"
        where = str(error).replace("at end of document", last)
        raise SettingsError(f"{path} is not valid TOML: {where}", "Mend that line.") from None
    except ValueError:  # Python turns no more than 4,300 digits into a number, or back
        raise SettingsError(
            f"{path} has a number that is too long", "Write a shorter one."
        ) from None
    except RecursionError:
        raise SettingsError(
            f"{path} has too many lists or tables within one another", "Make it flatter."
        ) from None
    try:
        # Strictly, but as JSON: of Python's own values it would not even take a text for a path.
        settings = TypeAdapter(Settings).validate_json(given, strict=True)
    except ValidationError as error:
        raise _told(error, path) from None
    try:
        DeliverySettings.model_validate(settings.delivery)
    except ValidationError as error:
        raise _told(error, path, "delivery") from None
    return settings


def _told(error: ValidationError, path: Path, *table: str) -> SettingsError:
    problem = field_problems(error)[0]
    loc = (*table, *problem.loc)
    where = "".join(f"{part}." for part in loc if part != "[key]")
    what = _WORDS.get(problem.kind) or problem.message.replace("Input should", "it has to")
    if what is UNKNOWN and (close := get_close_matches(str(loc[-1]), _known_beside(loc), 1)):
        hint = f"Did you mean {close[0]}?"
    else:
        page = "actions" if loc[:1] == ("delivery",) else "configuration"
        hint = f"See docs/{page}.md for every key."
    return SettingsError(f"{path}: {where[:-1] + ': ' if where else ''}{what}", hint)


_WORDS = {
    "extra_forbidden": UNKNOWN,
    "unexpected_keyword_argument": UNKNOWN,
    "missing": "it is missing",
    "string_type": "it has to be text, in quotes",
    "path_type": "it has to be a path, in quotes",
    "bool_type": "it has to be true or false",
    "bool_parsing": "it has to be true or false",
    "int_parsing": "it has to be a whole number",
    "int_from_float": "it has to be a whole number",
    "int_type": "it has to be a whole number",
    "float_parsing": "it has to be a number",
    "float_type": "it has to be a number",
    "dict_type": "it has to be a table",
    "model_type": "it has to be a table",
    "dataclass_type": "it has to be a table",
    "tuple_type": "it has to be a list, in brackets",
}
"""By pydantic's kind of error, where its own words are not those of TOML."""


def _known_beside(loc: Sequence[str | int]) -> list[str]:
    """The keys that there are in the table where `loc` is."""
    match loc:
        case ["contexts", _, _]:
            return [each.name for each in fields(Context)]
        case ["delivery", key, _]:
            table = DeliverySettings.model_fields[str(key)].annotation
            kinds = [each for each in get_args(table) if issubclass(each, Section)]
            return [name for kind in kinds for name in kind.model_fields]
        case ["delivery", _]:
            return list(DeliverySettings.model_fields)
    return [each.name for each in fields(Settings)]
