"""The lines at the edges of a screen: where you are above, what you can press below."""

from collections.abc import Callable

from textual.content import Content

from cortex_tui.widgets.lines import Lines


class Bar(Lines):
    """One line with something at its left and something at its right."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ends = (Content(), Content())

    def set(self, left: Content, right: Content | None = None) -> None:
        """Replace both ends; the left one is cut where there is no room for both."""
        self._ends = (left, right or Content())
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        left, right = self._ends
        room = self.size.width - right.cell_length
        self.show([left.truncate(max(0, room - 2), ellipsis=True, pad=True) + "  " + right])


class KeyBar(Lines):
    """The keys of the moment, kept up by the screen's bindings."""

    def __init__(self, draw: Callable[[], Content]) -> None:
        super().__init__()
        self._draw = draw

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.show([self._draw()]))
