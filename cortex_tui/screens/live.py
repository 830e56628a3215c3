"""What the Events and Actions tabs have in common: a list that follows what happens."""

from textual import on
from textual.content import Content

from cortex_tui.backend import BackendError, Capability
from cortex_tui.models import ProductState
from cortex_tui.screens.base import TablePane
from cortex_tui.widgets.listing import Listing
from cortex_tui.widgets.table import Table
from cortex_tui.widgets.text import ACCENT


class LivePane(TablePane):
    """A table that follows what happens to a product, until it is told to stand still."""

    def __init__(self, product_id: int, *, id: str) -> None:
        super().__init__(id=id)
        self._product_id = product_id
        self.paused = False
        self._next_read = 0.0
        self._reading = False
        self._failure: BackendError | None = None
        """Why the last look did not succeed."""
        self._state: ProductState | None = None

    @property
    def offered(self) -> bool:
        """Whether the orchestrator keeps events and actions at all."""
        return Capability.EVENTS in self.backend.capabilities

    def _not_offered(self) -> str:
        return f"This orchestrator does not {Capability.EVENTS.value}."

    def _read_soon(self) -> None:
        """Read as soon as nothing else is being read."""
        raise NotImplementedError

    def _look_further(self) -> None:
        """Read what is older where the cursor is at the end, or the filter leaves little."""
        raise NotImplementedError

    @on(Table.Moved)
    @on(Listing.Narrowed)
    def _moved(self) -> None:
        self._look_further()
        self.page.refresh_bindings()

    def _say(self) -> None:
        """Show how things stand, and how many there are."""
        raise NotImplementedError

    def do_pause(self) -> None:
        self.paused = not self.paused
        if self.paused:
            self._say()
        else:
            self._read_soon()

    def _standing_still(self, more: str = "") -> Content:
        """Says that nothing moves, and what it misses."""
        return Content.styled(f"‖ paused{more}", ACCENT)

    def _why_nothing(self, pause: str) -> tuple[str, ...]:
        """Instead of a table that stood still while it was empty; `pause` is the command that lets
        it follow again."""
        return "Paused", "There was nothing yet.", "", self.page.offer(pause, "follow again")
