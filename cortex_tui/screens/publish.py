"""Publishing an event by hand to a product's broker."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cortex_tui.backend import Backend, Capability
from cortex_tui.events import Event, Publication
from cortex_tui.models import Subscription
from cortex_tui.routing import Unreadable, decode
from cortex_tui.screens.dialogs import FormDialog, Option, Question
from cortex_tui.screens.trial import CHOICES, example, last_for
from cortex_tui.states import ConnectionState
from cortex_tui.topics import example_topic
from cortex_tui.widgets.field import Field
from cortex_tui.widgets.payload import laid_out
from cortex_tui.widgets.text import number, plain

if TYPE_CHECKING:
    from cortex_tui.app import CortexApp

FIELDS = (
    Field("topic", "Topic", "one exact topic, without + and #"),
    Field("payload", "Payload", lines=True),
    Field("qos", "QoS", options=tuple((str(qos), qos) for qos in range(3))),
    Field("retain", "Retain", "on: the broker keeps it for later"),
)


class PublishDialog(FormDialog[Publication]):
    """A message to publish; asks once more before it goes. A payload is laid out to be edited, and
    goes as it was where it is not."""

    def __init__(self, product_id: int, values: Mapping[str, Any]) -> None:
        self._product_id = product_id
        self._payload = str(values.get("payload", ""))
        shown = {**values, "payload": laid_out(self._payload)}
        super().__init__(
            "Publish an event", Publication, FIELDS, shown, self._publish, accept="Publish"
        )

    def _meant(self, draft: Publication) -> Publication:
        edited = "payload" in self.form.changed
        return draft if edited else draft.model_copy(update={"payload": self._payload})

    async def do_accept(self) -> None:
        draft = self.form.draft
        if draft is None:
            self.form.complain()
        elif await self.app.push_screen_wait(self._question(self._meant(draft))):
            await super().do_accept()

    def _question(self, draft: Publication) -> Question[bool]:
        state = self.cortex.watched.states.get(self._product_id)
        broker = state.broker if state else None
        size = number(len(draft.payload.encode()))
        kept = ", retained" if draft.retain else ""
        lines = [
            plain(draft.topic, 200),
            f"{size} bytes, QoS {draft.qos}{kept}",
            *_unreadable(draft.payload),
            "",
            "Whoever listens there gets it, and acts on it.",
        ]
        options = (Option("Publish", "p", True, danger=True), Option("Back", "n", False))
        return Question(f"Publish to {plain(broker or 'the broker', 100)}?", lines, options)

    async def _publish(self, draft: Publication, _: set[str]) -> None:
        await self.backend.publish(self._product_id, self._meant(draft))
        self.cortex.notify("Published: the broker has it.")


def _unreadable(payload: str) -> list[str]:
    """Why it will set nothing off, if so: one may want to see just that."""
    try:
        decode(payload)
    except Unreadable as error:
        return [f"It sets nothing off, since it is {error}."]
    return []


def publishable(app: "CortexApp", product_id: int) -> str | None:
    """Why nothing can be published to a product's broker now."""
    state = app.watched.states.get(product_id)
    if state is None or state.state is not ConnectionState.CONNECTED:
        return "There is no connection to the broker."
    return None


def anew(event: Event) -> dict[str, Any]:
    """What to publish to have an event once more."""
    return {"topic": event.topic, "payload": event.payload}


async def values_for(
    backend: Backend, product_id: int, subscription: Subscription | None
) -> dict[str, Any]:
    """What to publish for a subscription: the last event it took, or the least it takes."""
    if subscription is None:
        return {}
    wanted = subscription.event or subscription.name
    if Capability.EVENTS in backend.capabilities:
        events = await backend.events(product_id, limit=CHOICES)
        if last := last_for(subscription.topic, wanted, events):
            return anew(last)
    sample = example(wanted)
    return {"topic": example_topic(subscription.topic), "payload": sample.payload}
