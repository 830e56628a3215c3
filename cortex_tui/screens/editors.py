"""The small forms: a product, a subscription."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import islice
from typing import Annotated

from pydantic import Field as Limits
from textual import on
from textual.app import ComposeResult
from textual.content import Content

from cortex_tui.action_types import slips
from cortex_tui.backend import BackendError, FieldProblem
from cortex_tui.models import (
    Model,
    Product,
    ProductDraft,
    Subscription,
    SubscriptionDraft,
    TopicsConfig,
)
from cortex_tui.screens.dialogs import FormDialog
from cortex_tui.screens.outside import edited_outside
from cortex_tui.screens.trial import TrialDialog, Tried
from cortex_tui.topics import effective_topic
from cortex_tui.values import STORED
from cortex_tui.widgets.field import Field
from cortex_tui.widgets.form import Form
from cortex_tui.widgets.lines import Lines
from cortex_tui.widgets.text import MUTED, WARN, said


class ProductId(Model):
    """Which product of an orchestrator that does not list them."""

    id: Annotated[int, Limits(ge=1)]


PRODUCT_FIELDS = (
    Field("name", "Name"),
    Field("description", "Description"),
    Field("enabled", "Connection", "off: nothing is connected"),
)

SUBSCRIPTION_FIELDS = (
    Field("name", "Name"),
    Field("topic", "Topic", "empty: from the pattern"),
    Field("application_id", "Application id", "fills the pattern; empty: all"),
    Field("event", "Event", "empty: its name; * for every one"),
    Field("description", "Description"),
    Field("enabled", "Enabled"),
    Field("actions", "Actions", "a JSON list, also in $EDITOR", json=True, item="action"),
)

MAX_SLIPS = 3
"""Of those in the actions, so many are told at once."""


def product_editor(
    product: Product | None, save: Callable[[ProductDraft, set[str]], Awaitable[object]]
) -> FormDialog[ProductDraft]:
    """A form for a product, or for a new one."""
    title = f"Edit product {product.name}" if product else "New product"
    values = product.model_dump(include={f.name for f in PRODUCT_FIELDS}) if product else {}
    return FormDialog(title, ProductDraft, PRODUCT_FIELDS, values, save)


def product_id_dialog(
    save: Callable[[ProductId, set[str]], Awaitable[object]],
) -> FormDialog[ProductId]:
    """A form for the id of a product to show."""
    fields = (Field("id", "Product id", "as in /products/2/mqtt-config"),)
    return FormDialog("Add a product", ProductId, fields, {}, save)


def draft_of(subscription: Subscription) -> SubscriptionDraft:
    """What a subscription was made from, and can be tried as."""
    return SubscriptionDraft.model_validate(_values(subscription), context=STORED)


class SubscriptionEditor(FormDialog[SubscriptionDraft]):
    """A form for a subscription that shows the topic it will listen to, and slips in its actions,
    which hinder nobody from saving them."""

    def __init__(
        self,
        subscription: Subscription | None,
        product_id: int,
        topics: TopicsConfig,
        save: Callable[[SubscriptionDraft, set[str]], Awaitable[object]],
        *,
        tried: Tried | None = None,
        refused: bool = False,
    ) -> None:
        """`tried` is the event that the subscription was tried with; where that was `refused`, it
        is tried once more, so that its fields say why."""
        title = f"Subscription {subscription.name}" if subscription else "New subscription"
        values = _values(subscription) if subscription else {"actions": []}
        super().__init__(title, SubscriptionDraft, SUBSCRIPTION_FIELDS, values, save)
        self._product_id = product_id
        self._topics = topics
        self._tried = tried
        self._refused = refused

    def on_mount(self) -> None:
        super().on_mount()
        if self._refused:
            self.begin(self.do_try())

    def refusal(self, command: str) -> str | None:
        """Who may only look may try all the same."""
        if command == "accept" and self.cortex.read_only:
            return "This context is read-only."
        return super().refusal(command)

    async def do_try(self) -> None:
        """Try what is typed, saved or not, with the event that was tried last."""
        draft = self.form.draft
        if draft is None:
            self.form.complain()
            return
        dialog = TrialDialog(self._product_id, draft, self._topic(draft), self._tried)
        problems = await self.app.push_screen_wait(dialog)
        self._tried = dialog.tried
        if problems:
            self.form.complain(_of_the_draft(problem) for problem in problems)

    def _topic(self, draft: SubscriptionDraft) -> str:
        return effective_topic(self._topics, topic=draft.topic, application_id=draft.application_id)

    def compose_more(self) -> ComposeResult:
        yield Lines(id="topic-preview")

    def do_editor(self) -> None:
        try:
            text = edited_outside(self.cortex, self.form["actions"], suffix=".json")
        except BackendError as error:
            self.cortex.tell(error)
        else:
            self.form.write("actions", text)

    @on(Form.Edited)
    def _preview(self) -> None:
        draft = self.form.draft
        line = Content.styled("listens to  –", MUTED)
        if draft:
            line = Content.assemble(("listens to  ", MUTED), said(self._topic(draft)))
        self.query_one("#topic-preview", Lines).show([line])
        told = []
        for slip in islice(slips(draft.actions if draft else ()), MAX_SLIPS):
            told.append(said(f"⚠ {slip.unknown}", WARN))
            if slip.meant:
                told.append(said(f"  did you mean {slip.meant}?", WARN))
        self.form.detail("actions", told)


def _of_the_draft(problem: FieldProblem) -> FieldProblem:
    inside = problem.loc[1:] if problem.loc[:1] == ("draft",) else problem.loc
    return replace(problem, loc=inside)


def _values(subscription: Subscription) -> dict[str, object]:
    values = subscription.model_dump(
        include={"name", "application_id", "event", "description", "enabled"}
    )
    values["topic"] = None if subscription.derived else subscription.topic
    values["actions"] = [action.model_dump() for action in subscription.actions]
    return values
