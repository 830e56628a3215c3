"""How topics of a table are cut: where all are the same, so that what they differ in is seen."""

from collections.abc import Iterable

from textual.content import Content

from cortex_tui.topics import shared_ends
from cortex_tui.widgets.text import middle_of, plain


class TopicCut:
    """The cut of one table, for its column."""

    def __init__(self) -> None:
        self._ends = (0, 0)
        """Characters that all the topics begin and end with."""

    def compare(self, topics: Iterable[str]) -> bool:
        """Look at all topics of the table; whether they are cut otherwise from now on."""
        before, self._ends = self._ends, shared_ends(map(plain, topics))
        return self._ends != before

    def __call__(self, topic: Content, width: int) -> Content:
        """What is left of a topic in so many columns."""
        return middle_of(topic, width, *self._ends)
