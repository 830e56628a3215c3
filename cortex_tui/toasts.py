"""Toasts: what has happened, said for some seconds. One at a time, but errors stay for theirs."""

from collections.abc import Callable
from typing import Literal

from textual.notifications import Notification, Notify
from textual.widgets._toast import Toast, ToastHolder

from cortex_tui.backend import BackendError
from cortex_tui.typeahead import TypeaheadApp
from cortex_tui.widgets.text import plain
from cortex_tui.wording import worded


class ToastingApp(TypeaheadApp[None]):
    """Shows them, whatever they say, as they are written and never as markup."""

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: Literal["information", "warning", "error"] = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a toast."""
        super().notify(
            plain(message),
            title=plain(title),
            severity=severity,
            timeout=timeout,
            markup=False,
        )

    def tell(self, error: BackendError) -> None:
        """Tell a person what failed, and what to do about it."""
        self.notify(worded(error.text), severity="error", timeout=8)

    def on_notify(self, event: Notify) -> None:
        """A toast takes the place of the one before."""
        self._end(
            lambda toast: _passes(toast) or toast.message == event.notification.message,
            refresh=False,
        )
        for holder in self.screen.query(ToastHolder) if self.screen_stack else ():
            if not any(toast._notification in self._notifications for toast in holder.query(Toast)):
                holder.remove()  # Textual itself would leave it, empty

    def end_toasts(self) -> None:
        """Show toasts no longer that were about what is in view no longer."""
        self._end(_passes, refresh=True)

    def _end(self, ends: Callable[[Notification], bool], *, refresh: bool) -> None:
        for toast in list(self._notifications):
            if ends(toast):
                self._unnotify(toast, refresh=refresh)


def _passes(toast: Notification) -> bool:
    """Whether it need not stay for its time: an error does."""
    return toast.severity != "error"
