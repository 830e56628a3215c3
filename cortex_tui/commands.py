"""Every command once: bindings, the key line, the palette, what `:` knows, the help and the key
table of the README are made from this table.

A command belongs to a scope, the part of the screen that carries it out in a method
`do_<command>`. Its id is also what a keymap names to give it other keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding

from cortex_tui.backend import Capability


class Scope(StrEnum):
    """Who carries a command out; the value heads its group in the help."""

    OPENING = "Opening"
    PRODUCTS = "Products"
    PRODUCT = "Product"
    CONFIG = "Broker and topics"
    SUBSCRIPTIONS = "Subscriptions"
    TEST = "Connection test"
    EVENTS = "Events"
    EVENT = "An event"
    ACTIONS = "Actions"
    ACTION = "An action"
    TRIAL = "Dry run"
    DIALOG = "Dialog"
    APP = "Everywhere"


IN_DIALOGS = (Scope.TEST, Scope.EVENT, Scope.ACTION, Scope.TRIAL, Scope.DIALOG)


@dataclass(frozen=True)
class Command:
    """Something a person can ask for."""

    name: str
    keys: str
    """Separated by commas; the first is the one that is shown. Some have none."""
    label: str
    help: str
    scope: Scope
    footer: bool = False
    changes: bool = False
    """It changes something, and is refused where that is not allowed."""
    needs: Capability | None = None
    urgent: bool = False
    """Its keys are taken even from a field that would use them."""
    also: str = ""
    """What it is called after `:` instead of its name, separated by commas."""
    takes: bool = False
    """After `:` it takes one of the choices that its node has for it: `prod tyres`."""

    @property
    def id(self) -> str:
        """What a keymap calls it: `products.open`."""
        return f"{self.scope.name.lower()}.{self.name}"

    @property
    def aliases(self) -> list[str]:
        """What it is called after `:`; dialogs have fields, in which a colon is a colon."""
        if self.scope in IN_DIALOGS:
            return []
        return (self.also or self.name).split(",")


TOGETHER = (
    {Scope.OPENING, Scope.APP},
    {Scope.PRODUCTS, Scope.APP},
    {Scope.PRODUCT, Scope.CONFIG, Scope.APP},
    {Scope.PRODUCT, Scope.SUBSCRIPTIONS, Scope.APP},
    {Scope.TEST},
    {Scope.PRODUCT, Scope.EVENTS, Scope.APP},
    {Scope.PRODUCT, Scope.ACTIONS, Scope.APP},
    {Scope.EVENT},
    {Scope.ACTION},
    {Scope.TRIAL},
    {Scope.DIALOG},
)
"""Scopes that are there at the same time: no key and no alias means two things in them."""

_O, _P, _1, _C, _S, _T, _E, _EE, _J, _JJ, _DR, _D, _A = Scope

COMMANDS = {
    command.id: command
    for command in (
        Command("retry", "r", "Try again", "Try again to reach the orchestrator", _O, footer=True),
        Command("open", "enter", "Open", "Open the product", _P, footer=True),
        Command(
            "trouble", "t", "Trouble", "What is wrong first, or by name again", _P,
            footer=True,
        ),
        Command(
            "new", "n", "New", "Create a product", _P,
            changes=True, needs=Capability.EDIT_PRODUCTS,
        ),
        Command(
            "edit", "e", "Edit", "Change name and description", _P,
            changes=True, needs=Capability.EDIT_PRODUCTS,
        ),
        Command(
            "toggle", "space,d", "On/off", "Enable or disable the product", _P,
            footer=True, changes=True, needs=Capability.EDIT_PRODUCTS,
        ),
        Command(
            "delete", "delete,x", "Delete", "Delete the product and all it has", _P,
            changes=True, needs=Capability.EDIT_PRODUCTS,
        ),
        Command("reconnect", "r", "Reconnect", "Connect anew", _P, changes=True),
        Command("add", "a", "Add id", "Show a product by its id", _P),
        Command("forget", "f", "Forget id", "Show the product no longer; it is not deleted", _P),
        Command("filter", "slash", "Filter", "Show only rows that contain a text", _P, footer=True),
        Command("sort", "s", "Sort", "Sort by the next column", _P),
        Command("reverse", "S", "Reverse", "Turn the order round", _P),
        Command("clear", "escape", "Clear filter", "Show every row again", _P),

        Command("back", "escape", "Back", "Back to the products", _1, footer=True),
        Command("broker", "1", "Broker", "Go to the Broker tab", _1),
        Command("topics", "2", "Topics", "Go to the Topics tab", _1),
        Command(
            "subscriptions", "3", "Subscriptions", "Go to the Subscriptions tab", _1,
            also="subs,subscriptions",
        ),
        Command("events", "4", "Events", "Go to the Events tab", _1),
        Command("actions", "5", "Actions", "Go to the Actions tab", _1),
        Command(
            "next_tab", "f6", "Next tab", "Go to the next tab, also out of a field", _1,
            also="next",
        ),
        Command(
            "reconnect", "r,f5", "Reconnect", "Connect anew, with what is saved", _1,
            footer=True, changes=True,
        ),
        Command(
            "toggle_product", "d", "On/off", "Enable or disable the product", _1,
            changes=True, needs=Capability.EDIT_PRODUCTS, also="toggle-product",
        ),

        Command(
            "save", "f2,ctrl+s", "Save", "Save broker and topics; applies at the next reconnect", _C,
            footer=True, changes=True, also="w,save",
        ),
        Command(
            "apply", "f3", "Save+connect", "Save broker and topics, and reconnect", _C,
            footer=True, changes=True,
        ),
        Command("test", "f4,t", "Test", "Try to connect with the values as they stand", _C, footer=True),
        Command("revert", "f8", "Revert", "Back to what is saved", _C),
        Command(
            "history", "h,f10", "History", "Who changed what and when, and a way back", _C,
            needs=Capability.CONFIG_HISTORY,
        ),

        Command(
            "toggle", "space", "On/off", "Switch the subscription on or off", _S,
            footer=True, changes=True,
        ),
        Command(
            "toggle_all", "a", "All", "Switch all that are shown on, or all off", _S,
            changes=True, also="toggle-all",
        ),
        Command("edit", "enter,e", "Edit", "Open the subscription", _S, footer=True),
        Command(
            "new", "n", "New", "Create a subscription", _S,
            footer=True, changes=True, needs=Capability.EDIT_SUBSCRIPTIONS,
        ),
        Command(
            "delete", "delete,x", "Delete", "Delete the subscription and its counters", _S,
            changes=True, needs=Capability.EDIT_SUBSCRIPTIONS,
        ),
        Command(
            "error", "v", "Last error", "Show the event that met the last error", _S,
            needs=Capability.EVENTS,
        ),
        Command(
            "publish", "p", "Publish", "Publish a test event for the subscription to the broker", _S,
            changes=True, needs=Capability.PUBLISH,
        ),
        Command("filter", "slash", "Filter", "Show only rows that contain a text", _S),
        Command("sort", "s", "Sort", "Sort by the next column", _S),
        Command("reverse", "S", "Reverse", "Turn the order round", _S),

        Command("again", "r", "Again", "Test once more", _T, footer=True),
        Command(
            "trust", "t", "Trust", "Trust the issuer of the broker's certificate, after a look at it", _T,
            footer=True,
        ),
        Command(
            "round_trip", "p", "Round trip", "Publish on a topic and see whether it comes back", _T,
            footer=True, changes=True,
        ),

        Command("open", "enter", "Open", "Show the event, who took it, and why others did not", _E, footer=True),
        Command("pause", "space", "Pause", "Let the list stand still, or follow again", _E, footer=True),
        Command(
            "try", "f4,t", "Try", "Try a subscription with the event; nothing is sent", _E,
            footer=True, needs=Capability.TRY_EVENTS,
        ),
        Command(
            "publish", "p", "Publish", "Publish the event anew, or another one", _E,
            changes=True, needs=Capability.PUBLISH,
        ),
        Command("filter", "slash", "Filter", "Show only events that contain a text", _E),

        Command(
            "try", "f4,t", "Try", "Try a subscription with the event; nothing is sent", _EE,
            footer=True, needs=Capability.TRY_EVENTS,
        ),
        Command(
            "publish", "p", "Publish", "Publish the event anew", _EE,
            footer=True, changes=True, needs=Capability.PUBLISH,
        ),

        Command("open", "enter", "Open", "Show the action, what it says, and every failure", _J, footer=True),
        Command("view", "v", "View", "Show those in other states: dead, waiting, done, recorded, all", _J, footer=True),
        Command("pause", "space", "Pause", "Let the list stand still, or follow again", _J),
        Command(
            "retry", "t", "Retry", "Attempt the dead letter anew", _J,
            footer=True, changes=True, needs=Capability.EVENTS,
        ),
        Command(
            "retry_like", "T", "Retry like it", "Attempt all dead letters of its subscription anew", _J,
            changes=True, needs=Capability.EVENTS, also="retry-like",
        ),
        Command(
            "retry_all", "a", "Retry all", "Attempt all dead letters of the product anew", _J,
            changes=True, needs=Capability.EVENTS, also="retry-all",
        ),
        Command(
            "discard", "delete,x", "Discard", "Delete it, or all like it; asks which", _J,
            changes=True, needs=Capability.EVENTS,
        ),
        Command("filter", "slash", "Filter", "Show only actions that contain a text", _J),

        Command(
            "retry", "t", "Retry", "Attempt the dead letter anew", _JJ,
            footer=True, changes=True, needs=Capability.EVENTS,
        ),

        Command("choose", "c", "Choose", "Choose another of the events that came", _DR, footer=True),
        Command("edit", "e", "Edit", "Type or paste an event, or change this one", _DR, footer=True),
        Command("rerun", "r", "Again", "Try once more", _DR, footer=True),
        Command("subscription", "s", "Subscription", "Edit the subscription that is tried", _DR, footer=True),

        Command(
            "try", "f4", "Try", "Try the subscription as it stands with an event; nothing is sent", _D,
            footer=True, needs=Capability.TRY_EVENTS,
        ),
        Command("accept", "f2,ctrl+s", "Save", "Save and close", _D, footer=True),
        Command("editor", "f6", "Editor", "Open the actions in $EDITOR", _D, footer=True),
        Command("load", "enter", "Load", "Put this version into the form; it is not saved by that", _D, footer=True),
        Command("close", "escape", "Close", "Close without a change", _D, footer=True),

        Command("help", "question_mark,f1", "Help", "What can be done here", _A, footer=True),
        Command("find", "ctrl+p", "Find", "Find a command or a product by typing", _A),
        Command("jump", "colon", "Jump", "Say a command by its name, as here", _A),
        Command(
            "copy", "y,f12", "Copy", "Copy what is under the cursor, to your own clipboard", _A,
            also="y,copy",
        ),
        Command("undo", "u", "Undo", "Take the last switching on or off back", _A),
        Command(
            "product", "", "Product", "Go to a product", _A, also="prod,product,p",
            takes=True,
        ),
        Command("home", "", "Products", "Go to the products", _A, also="products,home"),
        Command(
            "context", "f7", "Context", "Work with another orchestrator", _A,
            also="ctx,context", takes=True,
        ),
        Command("theme", "f9", "Theme", "Choose the colours", _A, takes=True),
        Command("quit", "q", "Quit", "Quit; asks where changes are unsaved", _A, footer=True, also="q,quit"),
        Command(
            "leave", "ctrl+c,ctrl+q", "Quit now", "Quit at once, without a question", _A,
            urgent=True, also="q!,leave",
        ),
    )
}  # fmt: skip


def of(*scopes: Scope) -> Iterator[Command]:
    """The commands of some scopes, in the order of the table."""
    return (command for command in COMMANDS.values() if command.scope in scopes)


def bindings(*scopes: Scope) -> list[Binding]:
    """The bindings of some scopes."""
    return [binding(command) for command in of(*scopes) if command.keys]


def binding(command: Command) -> Binding:
    """The binding of a command; it runs the action `command`."""
    return Binding(
        command.keys,
        f"command('{command.id}')",
        command.label,
        show=False,
        id=command.id,
        tooltip=command.help,
        priority=command.urgent,
    )
