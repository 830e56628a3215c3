"""A text in the person's own editor."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from textual.app import App, SuspendNotSupported

from cortex_tui.backend import BackendError

LARGEST = 1_048_576
"""Bytes that are taken back from an editor."""


def edited_outside(app: App[None], text: str, *, suffix: str) -> str:
    """`text` as a person left it in `$VISUAL`, else `$EDITOR`, else vi; the application waits.

    Raises `BackendError` where there is no editor, where it fails, and where it leaves no text.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.TemporaryDirectory(prefix="cortex-") as folder:
        path = Path(folder) / f"edit{suffix}"
        path.write_text(text, encoding="utf-8")
        try:
            with app.suspend():
                ended = _run([*command, str(path)])
        except SuspendNotSupported:
            raise BackendError("an editor cannot be opened in this terminal") from None
        if isinstance(ended, OSError):
            raise BackendError(
                f"{command[0]} cannot be started: {ended.strerror}",
                "Set EDITOR to the editor you use.",
            )
        if ended:
            raise BackendError(
                f"{command[0]} ended with code {ended}", "Nothing was taken from it."
            )
        try:
            content = path.read_bytes()
            if len(content) > LARGEST:
                raise BackendError(f"the text is larger than {LARGEST:,} bytes")
            return content.decode("utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError):
            raise BackendError("The editor left no text that can be read") from None


def _run(command: list[str]) -> int | OSError:
    """The exit code, or why it did not start: an error raised while the application is away would
    leave it away."""
    try:
        return subprocess.run(command, check=False).returncode
    except OSError as error:
        return error
