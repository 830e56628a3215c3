"""The Broker and Topics tabs: two forms over one configuration."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message

from cortex_tui.backend import BackendError, Capability, FieldProblem, Invalid, Stale
from cortex_tui.commands import COMMANDS
from cortex_tui.diagnosis import Diagnosis, Outcome
from cortex_tui.differences import Difference, differences
from cortex_tui.models import (
    MAX_TEST_FILTERS,
    BrokerConfig,
    ConfigDocument,
    ConfigDraft,
    ConnectionTest,
    ConnectionTestResult,
    MqttConfig,
    ProductState,
    RefusedFilter,
    Subscription,
    TopicsConfig,
)
from cortex_tui.screens.base import Pane
from cortex_tui.screens.broker_notes import SECRETS, note_broker
from cortex_tui.screens.dialogs import Option, Question
from cortex_tui.screens.history import HistoryDialog, changes
from cortex_tui.screens.test import TestDialog
from cortex_tui.states import ConnectionState
from cortex_tui.topics import broker_filters, effective_topic, unshared
from cortex_tui.widgets.field import Field
from cortex_tui.widgets.form import Form
from cortex_tui.widgets.lines import Lines
from cortex_tui.widgets.text import ACCENT, MUTED, said
from cortex_tui.wording import LABELS, label_of


def _field(name: str, note: str = "", **options: Any) -> Field:
    return Field(name, LABELS[name], note, **options)


BROKER_FIELDS = (
    _field("host", "a name or an IP address"),
    _field("port", "1883, with TLS mostly 8883"),
    _field("use_tls"),
    _field("verify_cert"),
    _field("username", "empty: none", apart=True),
    _field("password", secret=True),
    _field("ca_cert", "a path or PEM; Del removes", pem=True, apart=True),
    _field("client_cert", "a path or PEM; Del removes", pem=True),
    _field("client_key", "a path or PEM; Del removes", pem=True, secret=True),
    _field("client_id", "empty: generated", apart=True),
    _field("keep_alive", "seconds; 0 turns pings off"),
    _field("clean_session", "off: missed events are kept"),
)

QOS = ("at most once", "at least once", "exactly once")

TOPICS_FIELDS = (
    _field("prefix", "the start of every topic"),
    _field("pattern", "may name {application_id}"),
    _field("use_shared", "instances share the load", apart=True),
    _field("shared_group", "the name they share"),
    _field("qos", options=tuple((str(qos), qos) for qos in range(3))),
)


class ConfigPane(Pane):
    """Edits a configuration, saves it, and tests it unsaved."""

    class Edited(Message):
        """One of the forms was edited or loaded."""

    def __init__(self, product_id: int) -> None:
        super().__init__(id="config")
        self._product_id = product_id
        self._document: ConfigDocument | None = None
        self.broker: Form[BrokerConfig] = Form(BrokerConfig, BROKER_FIELDS)
        self.topics: Form[TopicsConfig] = Form(TopicsConfig, TOPICS_FIELDS)
        self._subscriptions: Sequence[Subscription] = ()

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="broker-tab", can_focus=False):
            yield self.broker
        with VerticalScroll(id="topics-tab", can_focus=False):
            yield self.topics
            yield Lines(id="preview")

    def choose(self, tab: str) -> None:
        """Show one of the two forms."""
        for scroll in self.query(VerticalScroll):
            scroll.display = scroll.id == tab

    def _bring_up(self, tab: str) -> None:
        """Go to the tab of a form; where that is in view, the focus stays where it is."""
        if not (self.display and self.query_one(f"#{tab}-tab").display):
            self.page.action_command(f"product.{tab}")

    def enter(self) -> None:
        """Go into the form in view, to what is wrong in it, else to its first field."""
        form = self.topics if self.query_one("#topics-tab").display else self.broker
        form.enter()

    def follow(self, state: ProductState) -> None:
        """Say why there is no connection at the field that the reason is about."""
        status = state.status
        if status is None or status.connected:
            self.broker.blame(None, None)
        else:
            self.broker.blame(status.error_field, status.connection_error)
        self.topics.blame(*self._refused(status.refused_filters if status else ()))

    def _refused(self, filters: Sequence[RefusedFilter]) -> tuple[str | None, str | None]:
        """The field of the topics that the first of the refused `filters` is about, and why."""
        for each in filters:
            if each.field and self._is_of(each.field, each.filter):
                return each.field, each.reason
        return None, None

    def _is_of(self, field: str, topic_filter: str) -> bool:
        """Whether a filter was refused for a field of the topics: not for its own topic, where a
        subscription gives one in full."""
        derived = {each.topic for each in self._subscriptions if each.derived}
        return field != "pattern" or unshared(topic_filter) in derived or not self._subscriptions

    # -- what is stored, what is typed --------------------------------------------------------

    @property
    def _stored(self) -> MqttConfig | None:
        return self._document.mqtt_config if self._document else None

    @property
    def _state(self) -> ProductState | None:
        return self.cortex.watched.states.get(self._product_id)

    @property
    def topics_stored(self) -> TopicsConfig:
        """The stored topics, or the defaults where nothing is stored."""
        return self._stored.topics if self._stored else TopicsConfig()

    @property
    def dirty(self) -> bool:
        """Whether something is typed that is not saved."""
        return bool(self.broker.changed or self.topics.changed)

    def load(self, document: ConfigDocument) -> None:
        """Show what is stored; what was typed is forgotten."""
        self._document = document
        config = document.mqtt_config
        broker: dict[str, Any] = {} if config is None else config.broker.model_dump()
        for secret in SECRETS:
            broker.pop(secret, None)
        self.broker.load(broker)
        self.topics.load({} if config is None else config.topics.model_dump())

    def show_subscriptions(self, subscriptions: Sequence[Subscription]) -> None:
        """Whose topics the preview covers."""
        before, self._subscriptions = self._subscriptions, subscriptions
        if list(map(_heard, before)) != list(map(_heard, subscriptions)):
            self._preview()

    @on(Form.Edited)
    def _edited(self, event: Form.Edited) -> None:
        event.stop()
        able = Capability.TLS_MATERIAL in self.backend.capabilities
        note_broker(self.broker, self._stored.broker if self._stored else None, able)
        self.topics.note("qos", Content.styled(QOS[self.topics["qos"]], MUTED))
        self._preview()
        self.page.refresh_bindings()
        self.post_message(self.Edited())

    @on(Form.Finished)
    def _finished(self) -> None:
        """Nothing is saved by Enter here: there is a choice of what to do."""
        possible = (
            f"{self.cortex.key_of(command)} {what}"
            for command, what in _AT_THE_END
            if not self.page.why_not(COMMANDS[command])
        )
        self.cortex.notify(f"That was the last field: {', '.join(possible)}.")

    def _preview(self) -> None:
        preview, topics = self.query_one("#preview", Lines), self.topics.draft
        if topics is None:
            preview.show(
                [Content.styled("The filters show when the values above are right.", MUTED)]
            )
            return
        title = "What the broker is sent"
        if not any(each.enabled for each in self._subscriptions):
            title = "No subscription is enabled. One for every application would send"
        filters = [said(each, ACCENT) for each in self._filters()]
        preview.show([Content.styled(title, MUTED), *filters])

    def _filters(self) -> Sequence[str]:
        """What the broker is sent with the values as they stand; with no subscription enabled,
        what one for every application would send."""
        topics = self.topics.draft
        if topics is None:
            return []
        wanted = [
            effective_topic(
                topics,
                topic=None if each.derived else each.topic,
                application_id=each.application_id,
            )
            for each in self._subscriptions
            if each.enabled
        ]
        return broker_filters(topics, wanted or [effective_topic(topics)])

    # -- commands -----------------------------------------------------------------------------

    def refusal(self, command: str) -> str | None:
        """Why a command has nothing to do."""
        if command in ("save", "revert") and not self.dirty:
            return "Nothing was changed."
        if command == "history" and self._stored is None:
            return "Nothing was saved yet."
        return None

    async def do_save(self) -> None:
        first = self._stored is None
        if await self.save() and first:
            await self._connects()

    async def do_apply(self) -> None:
        first = self._stored is None
        nothing_to_save = not self.dirty and not first
        if nothing_to_save or (await self._changes_are_meant() and await self.save()):
            if not first or not await self._connects():
                await self.backend.reconnect(self._product_id)
                self.cortex.notify("Connecting with the saved values.")
            if self.has_focus_within:
                self.page.action_command("product.back")  # to the tabs: keys are commands again

    async def _connects(self) -> bool:
        """Whether there is a connection, or one is being made; it is said then. What was saved is
        the first configuration, and an orchestrator may not wait for a word to run it."""
        with suppress(BackendError):  # it is saved all the same
            state = (await self.backend.status(self._product_id)).state
            if state in (ConnectionState.CONNECTING, ConnectionState.CONNECTED):
                self.cortex.notify("Saved, and connecting.")
                return True
        return False

    async def _changes_are_meant(self) -> bool:
        """Whether the person means what will change, where that touches a running connection."""
        state, broker, topics = self._state, self.broker.draft, self.topics.draft
        running = state and state.status and state.status.connected
        if not running or self._stored is None or broker is None or topics is None:
            return True
        found = differences(self._stored, ConfigDraft(broker=broker, topics=topics))
        question: Question[bool] = Question(
            "Save, and connect anew with this?",
            [*changes(found), "The connection that runs is dropped for a moment."],
            (Option("Save and connect", "y", True), Option("Stay", "n", False)),
        )
        answer = await self.app.push_screen_wait(question)
        return bool(answer)

    async def do_history(self) -> None:
        versions = await self.backend.config_history(self._product_id)
        title = self._state.product.name if self._state else "the product"
        chosen = await self.app.push_screen_wait(HistoryDialog(title, versions, self.cortex.now))
        if chosen:
            self.broker.fill(chosen.broker.model_dump(exclude={"password", "client_key"}))
            self.topics.fill(chosen.topics.model_dump())
            self.cortex.notify(
                f"Version {chosen.version} is in the form, but for its secrets: save it to go back."
            )

    async def do_revert(self) -> None:
        question: Question[bool] = Question(
            "Go back to what is saved?",
            ["What you typed into Broker and Topics is lost."],
            (Option("Go back", "y", True, danger=True), Option("Stay", "n", False)),
        )
        meant = await self.app.push_screen_wait(question)
        if meant and self._document:
            self.load(self._document)

    async def do_test(self) -> None:
        await self.broker.settle()
        if self.broker.draft is None:
            self._complain()
            return
        self.app.clear_notifications()  # what was to be corrected is
        why: str | None = None
        while (test := self._test()) is not None:
            dialog = TestDialog(self._product_id, test, why)
            trusted = await self.app.push_screen_wait(dialog)
            if trusted is None:
                self._find_fault(dialog.result)
                return
            self.broker.fill({"ca_cert": trusted.pem})
            why = "Once more, with the certificate you trust. It is in the form and not saved."

    def _find_fault(self, result: ConnectionTestResult | None) -> None:
        """Mark the field that the failure of a test is about, and go there from another field."""
        if not isinstance(result, Diagnosis):
            return
        self.broker.find(None, None)
        self.topics.find(None, None)
        told = next((each for each in result.stages if each.outcome is Outcome.FAILED), None)
        if told is None or told.field is None:
            return
        typing = self.has_focus_within
        refused = next((each for each in result.filters if each.granted_qos is None), None)
        if told.field in BrokerConfig.model_fields:
            self.page.action_command("product.broker")
            self.broker.find(told.field, told.cause)
        elif refused is None or self._is_of(told.field, refused.filter):
            self.page.action_command("product.topics")
            self.topics.find(told.field, refused.reason if refused else told.cause)
        if typing:  # else keys are commands, and go on being that
            self.enter()

    def _test(self) -> ConnectionTest | None:
        """The values as they stand, with the filters the product would subscribe to."""
        if self.broker.draft is None:
            return None
        draft = self.broker.draft
        given = {name: value for name, value in draft if name in ConnectionTest.model_fields}
        return ConnectionTest(
            **{**given, "password": draft.new_password, "client_key": draft.new_key},
            filters=tuple(self._filters()[:MAX_TEST_FILTERS]),
            time_limit=self.cortex.test_limit,
        )

    async def save(self) -> bool:
        """Save both forms, and say whether that went well."""
        await self.broker.settle()
        if self.broker.draft is None or self.topics.draft is None:
            self._complain()
            return False
        draft = ConfigDraft(broker=self.broker.draft, topics=self.topics.draft)
        return await self._replace(self._stored, draft)

    async def _replace(self, config: MqttConfig | None, draft: ConfigDraft) -> bool:
        """Save `draft` over `config`, and over no other that somebody else saved meanwhile. What is
        typed while that is under way stays."""
        sent = self.broker.values, self.topics.values
        try:
            saved = await self.backend.save_config(
                self._product_id, draft, if_version=config.version if config else 0
            )
        except Invalid as error:
            self._complain(error.problems)
            return False
        except Stale:
            return await self._resolve(draft)
        broker, topics = self.broker.edited_since(sent[0]), self.topics.edited_since(sent[1])
        self.load(ConfigDocument(product_id=self._product_id, mqtt_config=saved.mqtt_config))
        self.broker.fill(broker)
        self.topics.fill(topics)
        key = self.cortex.key_of("product.reconnect")
        waits = f" It applies at the next reconnect ({key})." if saved.requires_restart else ""
        self.cortex.notify(f"Saved.{waits}")
        return True

    async def _resolve(self, draft: ConfigDraft) -> bool:
        """Somebody else saved meanwhile: whose values shall stand?"""
        theirs = (await self.backend.config(self._product_id)).mqtt_config
        found = differences(draft, theirs) if theirs else []
        answer = await self.app.push_screen_wait(
            Question(
                "Somebody else changed this configuration meanwhile",
                [
                    *map(_compared, found),
                    "Overwrite it with yours, or load theirs and lose yours?",
                ],
                (
                    Option("Overwrite", "o", "mine", danger=True),
                    Option("Load theirs", "l", "theirs"),
                    Option("Stay", "n", "stay"),
                ),
            )
        )
        if answer == "mine":
            return await self._replace(theirs, draft)
        if answer == "theirs":
            self.load(await self.backend.config(self._product_id))
        return False

    def _complain(self, problems: Sequence[FieldProblem] | None = None) -> None:
        """Show what is wrong at its field, on the tab that has it, and tell what has none."""
        if elsewhere := [each for each in problems or () if each.loc[:1] not in _PARTS]:
            self.cortex.tell(Invalid(elsewhere))
        broker = _of("broker", problems) if problems is not None else self.broker.problems
        topics = _of("topics", problems) if problems is not None else self.topics.problems
        if broker:
            self._bring_up("broker")
            self.broker.complain(broker)
        elif topics:
            self._bring_up("topics")
            self.topics.complain(topics)
        if count := len(broker) + len(topics):
            what = "One value needs" if count == 1 else f"{count} values need"
            self.cortex.notify(f"{what} correcting.", severity="warning")


_AT_THE_END = (
    ("config.test", "tests"),
    ("config.save", "saves"),
    ("config.apply", "saves and connects"),
    ("product.back", "leads back"),
)
"""Commands that come after the last field, with what is said of each."""

_PARTS = (("broker",), ("topics",))


def _of(part: str, problems: Sequence[FieldProblem]) -> list[FieldProblem]:
    return [
        FieldProblem(problem.loc[1:], problem.message, problem.kind, problem.context)
        for problem in problems
        if problem.loc and problem.loc[0] == part
    ]


def _compared(difference: Difference) -> str:
    """A field as it is here, and as somebody else saved it; of secrets that cannot be told."""
    field, mine, theirs = difference
    theirs = "as stored" if field in ("password", "client_key") else theirs
    return f"{label_of(field)}: {mine} (yours), {theirs} (theirs)"


def _heard(subscription: Subscription) -> tuple[object, ...]:
    """All that the filters for the broker depend on."""
    return (
        subscription.enabled,
        subscription.derived,
        subscription.topic,
        subscription.application_id,
    )
