"""A running application in a test, and a person's ways with it: press, type, wait to see."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from textual.events import Key, Paste
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import TextArea

from cortex_tui.app import CortexApp
from cortex_tui.backend import Backend
from cortex_tui.settings import Context, Target
from cortex_tui.widgets.form import Form
from tests.waiting import until

NARROW = (80, 24)
WIDE = (120, 36)


@dataclass
class Person:
    """Sits before the application."""

    app: CortexApp
    pilot: Pilot[None]

    @property
    def screen(self) -> str:
        """What is on the terminal now, a line for a line."""
        return "\n".join(strip.text for strip in self.app.screen._compositor.render_strips())

    def line(self, *parts: str) -> str:
        """The first line on the terminal that has all of `parts`; empty where none has."""
        lines = self.screen.splitlines()
        return next((line for line in lines if all(part in line for part in parts)), "")

    async def sees(self, *parts: str) -> str:
        """Wait until one line shows all of `parts`, and return it."""
        await self._until(lambda: self.line(*parts), f"never saw {parts} in")
        return self.line(*parts)

    async def sees_below(self, field: str, problem: str) -> None:
        """Wait until `problem` is said in the line below a field."""

        def said() -> bool:
            lines = self.screen.splitlines()
            return any(field in one and problem in two for one, two in itertools.pairwise(lines))

        await self._until(said, f"never saw {problem!r} below {field} in")

    async def sees_each(self, *texts: str) -> None:
        """Wait until each of `texts` is somewhere."""
        for text in texts:
            await self.sees(text)

    async def sees_no(self, *parts: str) -> None:
        """Wait until no line shows all of `parts`."""
        await self._until(lambda: not self.line(*parts), f"never lost {parts} from")

    async def _until(self, condition: Callable[[], object], complaint: str) -> None:
        try:
            await until(condition)
        except AssertionError:
            raise AssertionError(f"{complaint}\n{self.screen}") from None

    async def press(self, *keys: str) -> None:
        """Press keys, each when the application has dealt with the one before."""
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self.pilot.press(*text)
        await self.pilot.pause()

    async def paste(self, text: str) -> None:
        """Paste into what has the focus, as a terminal does that brackets it."""
        self.app.post_message(Paste(text))
        await self.pilot.pause()

    def at_once(self, *keys: str) -> None:
        """Press keys faster than the application looks at any."""
        for key in keys:
            name = _character_to_key(key) if len(key) == 1 else key
            self.app.post_message(Key(name, key if key.isprintable() and len(key) == 1 else None))

    async def fill(self, text: str) -> None:
        """Replace what is in the field that has the focus."""
        await self.press("end", "ctrl+u")
        await self.type(text)

    async def fill_in(self, field: str, text: str) -> None:
        """Go to a field of the form in view by its name, and replace what is in it."""
        forms = self.app.screen.query(Form)
        control = next(form._rows[field].control for form in forms if field in form._rows)
        control.focus()
        if isinstance(control, TextArea):
            control.text = text
            await self.pilot.pause()
        else:
            await self.fill(text)

    async def click(self, text: str) -> None:
        """Click on the first place that shows `text`."""
        for y, line in enumerate(self.screen.splitlines()):
            if (x := line.find(text)) >= 0:
                await self.pilot.click(offset=(x, y))
                await self.pilot.pause()
                return
        raise AssertionError(f"{text!r} is not on\n{self.screen}")


@asynccontextmanager
async def before(
    open_backend: Callable[[Target], Awaitable[Backend]],
    *,
    size: tuple[int, int] = NARROW,
    read_only: bool = False,
    **options: Any,
) -> AsyncIterator[Person]:
    """A person before an application that opens its backend so."""
    app = CortexApp(open_backend, Target("test", Context(read_only=read_only)), **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield Person(app, pilot)


class Late:
    """An operation that answers only once the event `answer` is set, as if from far away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, backend: object, operation: str) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        real = getattr(backend, operation)

        async def late(*arguments: Any, **options: Any) -> Any:
            self.asked.set()
            await self.answer.wait()
            return await real(*arguments, **options)

        monkeypatch.setattr(backend, operation, late)


def held(monkeypatch: pytest.MonkeyPatch, backend: object, operation: str) -> asyncio.Event:
    """Let an operation answer only once the event is set."""
    return Late(monkeypatch, backend, operation).answer
