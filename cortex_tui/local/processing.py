"""Everything that happens to events: the pipeline, the history, the outbox, and who delivers."""

from collections.abc import Callable, Iterable
from pathlib import Path

from cortex_tui.backend import FieldProblem, Invalid
from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.events import Explanation, JobChoice, Trial
from cortex_tui.local.actions import ActionError, compile_action, compile_stored
from cortex_tui.local.delivery import Delivery
from cortex_tui.local.history import History
from cortex_tui.local.mail import MailTemplates
from cortex_tui.local.outbox import Outbox
from cortex_tui.local.pipeline import Pipeline, Taker
from cortex_tui.local.store import Store
from cortex_tui.local.targets import Publish
from cortex_tui.local.trials import explain, unsaved
from cortex_tui.models import Action, Subscription
from cortex_tui.routing import Router
from cortex_tui.topics import effective_topic

CLOSE_TIMEOUT = 1.0
"""Seconds that attempts under way have to end."""


class Processing:
    """Composes the rooms that an event passes through."""

    _delivery: Delivery
    _on_room: Callable[[], None]

    def __init__(
        self,
        store: Store,
        settings: DeliverySettings,
        templates: Path,
        *,
        on_change: Callable[[int], None],
    ) -> None:
        """`templates` is the folder of e-mail templates; `on_change` is told a product of which
        something changed."""
        self._store = store
        self._settings = settings
        self._folder = templates
        self._templates = MailTemplates(templates)
        self._on_change = on_change
        self._was_paused = False
        self.outbox = Outbox(store)
        self.history = History(store)
        self.pipeline = Pipeline(store, self.outbox, self.history, on_committed=self._committed)

    def start(self, *, publish: Publish, on_room: Callable[[], None]) -> None:
        """Deliver from now on. `publish` goes through a product's connection; `on_room` is told,
        time and again, that held messages may go on."""
        self._on_room = on_room
        self._delivery = Delivery(
            self.outbox,
            self._settings,
            templates=self._folder,
            publish=publish,
            on_settled=self._on_change,
            on_pruned=self._pruned,
        )
        self._delivery.start()

    def _pruned(self) -> None:
        paused = self.paused() is not None
        if paused is not self._was_paused:
            self._was_paused = paused
            for product in self._store.products():
                self._on_change(product.id)  # why it pauses, or that it goes on
        self._on_room()

    def close(self) -> None:
        """Stop delivering; blocks until that is so."""
        self._delivery.close(CLOSE_TIMEOUT)

    def _committed(self, product_ids: set[int], targets: set[str]) -> None:
        if targets:
            self._delivery.wake(targets)
        for product_id in product_ids:
            self._on_change(product_id)

    # -- subscriptions ------------------------------------------------------------------------

    def check(self, actions: Iterable[Action]) -> None:
        """Raise `Invalid` for actions that can never work, with the field and the position."""
        problems: list[FieldProblem] = []
        for position, action in enumerate(actions):
            try:
                compile_action(action, self._settings)
            except ActionError as error:
                problems.append(FieldProblem(("actions", position, *error.location), str(error)))
        if problems:
            raise Invalid(problems)

    def router(self, subscriptions: Iterable[Subscription]) -> Router[Taker]:
        """These subscriptions, compiled."""
        return Router(
            (
                each,
                Taker(each.id, tuple(compile_stored(a, self._settings) for a in each.actions)),
            )
            for each in subscriptions
        )

    def live(self, subscriptions: Iterable[Subscription], now: float) -> list[Subscription]:
        """Stored subscriptions with the figures that only a running orchestrator has."""
        rate = self.pipeline.recent.per_second
        dead = {i: n for each in self.outbox.unfinished().values() for i, n in each.dead.items()}

        def with_figures(each: Subscription) -> Subscription:
            figures = {
                "dead": dead.get(each.id, 0),
                "rate_1m": round(rate(each.id, 60, now), 2),
                "rate_5m": round(rate(each.id, 300, now), 2),
            }
            if figures == dict.fromkeys(figures, 0):
                return each
            stats = each.stats.model_copy(update=figures)
            return each.model_copy(update={"stats": stats})

        return [with_figures(each) for each in subscriptions]

    def forget(self, subscription_ids: Iterable[int]) -> None:
        """These subscriptions are gone, perhaps with their product and its jobs."""
        self.outbox.look_again()
        for subscription_id in subscription_ids:
            self.pipeline.recent.forget(subscription_id)

    # -- what a person asks -------------------------------------------------------------------

    def paused(self) -> str | None:
        """Why no events are taken at present."""
        if not self.outbox.full and not self.pipeline.holding:
            return None
        return "too many actions wait: the broker keeps further events until they are fewer"

    def retry(self, product_id: int, choice: JobChoice, now: float) -> int:
        """Attempt dead letters anew; returns how many. Raises `NotFound`."""
        self._store.product(product_id)
        targets = self.outbox.retry(
            product_id,
            now,
            job_id=choice.job_id,
            subscription_id=choice.subscription_id,
            states=choice.states,
        )
        self._delivery.try_again(targets)
        return len(targets)

    def discard(self, product_id: int, choice: JobChoice) -> int:
        """Delete those of the chosen that wait or are dead; returns how many. Raises `NotFound`."""
        self._store.product(product_id)
        return self.outbox.discard(
            product_id,
            job_id=choice.job_id,
            subscription_id=choice.subscription_id,
            states=choice.states,
        )

    def try_event(self, product_id: int, trial: Trial) -> Explanation:
        """See `Backend.try_event`."""
        if trial.draft is None:
            assert trial.subscription_id is not None
            subscription = self._store.subscription(product_id, trial.subscription_id)
            subscription = subscription.model_copy(update={"enabled": True})
        else:
            self.check(trial.draft.actions)
            topics = self._store.topics(product_id)
            topic = effective_topic(
                topics, topic=trial.draft.topic, application_id=trial.draft.application_id
            )
            subscription = unsaved(trial.draft, topic)
        return explain(subscription, trial.topic, trial.payload, self._settings, self._templates)
