"""What moves by itself, made to stand still, so that pictures can be compared to the byte."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from textual.widgets import Input, TextArea

_ASKED = ("NO_COLOR", "FORCE_COLOR", "TEXTUAL", "TEXTUAL_THEME", "LC_ALL", "LC_CTYPE")
_GIVEN = {"TZ": "UTC", "LANG": "C.UTF-8", "COLORTERM": "truecolor"}


@contextmanager
def still_screen() -> Iterator[None]:
    """No cursor blinks, local time is UTC, and the person's own terminal has no say."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(Input, "_toggle_cursor", lambda _: None))
        stack.enter_context(patch.object(TextArea, "_toggle_cursor_blink_visible", lambda _: None))
        stack.callback(time.tzset)
        stack.enter_context(patch.dict(os.environ, _GIVEN))
        for name in _ASKED:
            os.environ.pop(name, None)
        time.tzset()
        yield
