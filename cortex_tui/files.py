"""Small text files that a person names, and why a path cannot be used."""

import stat
from pathlib import Path

MAX_BYTES = 262_144
"""More than any file has that is meant here; one that is larger was named by mistake."""

MAX_SHOWN = 200
"""Characters of a path that are shown where it cannot be read."""


def reason(error: Exception) -> str:
    """Why a path could not be used, in words."""
    if isinstance(error, OSError):
        return error.strerror or "there is no such place"
    if isinstance(error, UnicodeDecodeError):
        return "it is no text in UTF-8"
    return (
        "there is no such place"  # RuntimeError: no such user's home; ValueError: a NUL character
    )


def read_text(path: str | Path) -> str:
    """The text in a file; `~` is the home folder. Blocks. Raises `ValueError`, which says problem
    and fix."""
    if "\0" in str(path):
        raise ValueError("the path contains a NUL character: remove it")
    place = Path(path)
    named = str(place)
    named = named if len(named) <= MAX_SHOWN else f"{named[:MAX_SHOWN]}…"
    try:
        place = place.expanduser()
        if not stat.S_ISREG(place.stat().st_mode):
            raise ValueError(f"{named} is no file: name one")  # a pipe would be waited on for ever
        with place.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{named} cannot be read ({reason(error)}): check the path") from None
    if len(data) > MAX_BYTES:
        raise ValueError(f"{named} is larger than {MAX_BYTES:,} bytes: name another file")
    if not data.strip():
        raise ValueError(f"{named} is empty: name another file")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{named} is no text: give a file in PEM form") from None
