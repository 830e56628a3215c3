"""Whatever comes from outside is shown, and obeyed by nothing."""

import asyncio
import json
import unicodedata
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.events import Paste

from cortex_tui.backend import Backend
from cortex_tui.demo.broker import Broker
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import (
    Action,
    ConnectionStatus,
    Product,
    ProductDraft,
    ProductState,
    RefusedFilter,
    SubscriptionDraft,
)
from cortex_tui.settings import Target
from cortex_tui.states import ConnectionState
from cortex_tui.widgets.inert import Ascii, Inert, to_ascii
from cortex_tui.widgets.text import MAX_SHOWN, UNSHOWN, plain
from tests.brokers import publish
from tests.orchestrators import TOPIC, configured, connected, draft, reaches
from tests.ui.conftest import Orchestrator
from tests.ui.driving import NARROW, WIDE, Person, before
from tests.waiting import until

OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories a terminal may obey: controls, formats, half pairs, separators."""

NASTY = [
    "[/foo] [bold red]x[/] [@click=app.quit]y[/]",
    "\x1b[31mred\x1b]0;title\x07\x9b2J",
    "\u202eevil\u2066\u200f",
    "a\r\nb\tc\x00d\x7f",
    "漢字かな交じり文" * 20,
    "e\u0301\u0301\u0301 zero\u200bwidth \U0001f469\u200d\U0001f467",
    "\ud83d half a pair".encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass"),
    "x" * 1_048_576,
]
HOSTILE = st.one_of(st.sampled_from(NASTY), st.text(), st.text(st.characters(codec=None)))


@given(HOSTILE)
@example("\x1b")
def test_plain_is_one_line_that_nothing_obeys(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert len(shown) <= MAX_SHOWN
    assert not any(unicodedata.category(each) in OBEYED for each in shown)


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_plain_leaves_ordinary_text_alone(text: str) -> None:
    assert plain(text, limit=len(text)) == text


def test_what_is_not_shown_leaves_a_mark() -> None:
    assert plain("a\x1b[0m\u202eb") == f"a{UNSHOWN}[0m{UNSHOWN}b"
    assert plain("a\tb\nc") == "a b c"


@given(HOSTILE)
def test_the_last_filter_keeps_every_cell_in_its_place(text: str) -> None:
    [segment] = Inert().apply([Segment(text)], Color(0, 0, 0))
    assert segment.text.isprintable()
    assert cell_len(segment.text) == cell_len(text)


@given(HOSTILE)
def test_ascii_is_ascii_and_as_wide(text: str) -> None:
    text = plain(text)
    assert to_ascii(text).isascii()
    assert cell_len(to_ascii(text)) == cell_len(text)


def inert(person: Person, *, width: int) -> None:
    """Nothing on the terminal is obeyed, and every line is as wide as it."""
    for line in person.screen.splitlines():
        assert line.isprintable(), ascii(line)
        assert cell_len(line) == width


@pytest.mark.parametrize("size", [NARROW, WIDE])
@pytest.mark.parametrize("text", NASTY[:6])
async def test_no_screen_is_broken_by_what_is_stored(
    embedded: Orchestrator, broker: Broker, text: str, size: tuple[int, int]
) -> None:
    printable = "".join(each for each in text if each.isprintable())[:150]
    action = Action.model_validate({"type": text, "params": {text: text}})
    subscription = SubscriptionDraft(
        name=printable,
        topic=text.replace("#", "").replace("+", "").replace("\x00", ""),
        description=text.replace("\x00", ""),
        actions=(action,),
    )
    await configured(embedded.inside, draft(broker, client_id="[/x]"), subscription)
    await embedded.inside.create_product(
        ProductDraft(name=printable, description=text.replace("\x00", ""))
    )
    width = size[0]
    async with before(embedded.open, size=size) as person:
        await person.sees("▸")
        inert(person, width=width)
        await person.press("e")  # a product
        await person.sees("Edit product")
        inert(person, width=width)
        await person.press("escape", "x")  # a question
        await person.sees("Delete product")
        inert(person, width=width)
        await person.press("n", "y")  # what can be copied
        await person.sees("whole product")
        inert(person, width=width)
        await person.press("escape", "colon")  # said
        await person.type("prod ")
        await person.sees("not configured")
        inert(person, width=width)
        await person.press("escape", "ctrl+p")  # found by typing
        inert(person, width=width)
        await person.type("tyres")
        await person.press("enter")
        await person.sees("Clean session")
        inert(person, width=width)
        await person.press("2")
        await person.sees("Pattern")
        inert(person, width=width)
        await person.press("3")
        await person.sees("RECEIVED")
        inert(person, width=width)
        await person.press("enter")  # a subscription
        await person.sees("Application id")
        inert(person, width=width)
        await person.press("escape", "x")
        await person.sees("Delete subscription")
        inert(person, width=width)
        person.app.notify(text, title=text, severity="error")
        await person.pilot.pause()
        inert(person, width=width)


@pytest.mark.parametrize("size", [NARROW, WIDE])
@pytest.mark.parametrize("text", NASTY[:6])
async def test_no_screen_is_broken_by_what_arrives(
    embedded: Orchestrator, broker: Broker, text: str, size: tuple[int, int]
) -> None:
    action = Action.model_validate({"type": text, "params": {text: text}, "condition": "true"})
    every = SubscriptionDraft(name="every", topic=TOPIC, event="*", actions=(action,))
    product = await connected(embedded.inside, draft(broker), every)
    publish(broker, TOPIC, text.encode("utf-8", "replace"))
    publish(broker, TOPIC, json.dumps({"event": text, text: [text]}, ensure_ascii=False))

    async def arrived() -> bool:
        return len(await embedded.inside.jobs(product.id)) == 1

    await until(arrived)
    width = size[0]
    async with before(embedded.open, size=size) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter")
        await person.sees("Clean session")
        await person.press("4")
        await person.sees("2 shown")
        inert(person, width=width)
        await person.press("enter")  # an event
        await person.sees("It went to")
        inert(person, width=width)
        await person.press("p")
        await person.sees("Publish an event")
        inert(person, width=width)
        await person.press("escape", "t")  # whom to try
        await person.sees("▸ every")
        inert(person, width=width)
        await person.press("enter")
        await person.sees("Dry run of every")
        await person.sees("Takes it")
        inert(person, width=width)
        await person.press("c")
        await person.sees("an event")
        inert(person, width=width)
        await person.press("escape", "e")
        await person.sees("An event to try")
        inert(person, width=width)
        await person.press("escape", "escape", "end")
        await person.sees("▸", "✗ unreadable")
        inert(person, width=width)
        await person.press("enter")
        await person.sees("It cannot be read, and sets nothing off")
        inert(person, width=width)
        await person.press("escape", "5")
        await person.sees("▸ ✗ dead")
        inert(person, width=width)
        await person.press("enter")  # an action
        await person.sees("given up")
        inert(person, width=width)
        await person.press("escape", "x")
        await person.sees("Discard this action?")
        inert(person, width=width)
        await person.press("n", "3")
        await person.sees("1 dead letter")
        inert(person, width=width)


@pytest.mark.parametrize("text", NASTY[:6])
async def test_a_history_is_not_broken_by_who_made_it(
    embedded: Orchestrator, broker: Broker, text: str
) -> None:
    product = await configured(embedded.inside, draft(broker))
    await embedded.inside.save_config(product.id, draft(broker, client_id="[/x]"), by=text)
    async with before(embedded.open) as person:
        await person.sees("▸", "Tyres")
        await person.press("enter")
        await person.sees("Clean session")
        await person.press("h")
        await person.sees("▸ 2 now", "Client id")
        inert(person, width=80)
        await person.press("down")
        await person.sees("Client id  [/x] → none")
        inert(person, width=80)


class Hostile(LocalBackend):
    """An orchestrator whose connections fail for reasons that would be obeyed."""

    text = ""

    async def watch(self) -> AsyncGenerator[Mapping[int, ProductState | None]]:
        status = ConnectionStatus(
            product_id=1,
            updated_at=datetime.now(UTC),
            state=ConnectionState.RETRYING,
            connection_error=self.text,
            hint=self.text,
            client_id=self.text,
            last_disconnected_at=datetime.now(UTC),
            last_disconnect_reason=self.text,
            refused_filters=(RefusedFilter(filter=self.text, reason=self.text),),
            requires_restart=True,
            waiting_changes=(self.text,),
            paused=self.text,
        )
        product = Product(id=1, name=f"Tyres {self.text}", description=self.text)
        yield {1: ProductState(product=product, broker=self.text, status=status)}
        await asyncio.Event().wait()


@pytest.mark.parametrize("size", [NARROW, (170, 40)])
@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
async def test_no_screen_is_broken_by_what_a_status_says(
    tmp_path: Path, text: str, size: tuple[int, int]
) -> None:
    async def open_it(_: Target) -> Backend:
        backend = await Hostile.open(tmp_path / "cortex.db")
        backend.text = text  # type: ignore[attr-defined]
        await backend.create_product(ProductDraft(name="Tyres"))
        return backend

    async with before(open_it, size=size) as person:
        await person.sees("▸ ↻ retrying", "Tyres")
        inert(person, width=size[0])
        await person.press("y")
        await person.sees("whole product")
        inert(person, width=size[0])
        await person.press("enter")
        await person.sees_no("whole product")
        await person.press("enter")
        await person.sees("Clean session")
        inert(person, width=size[0])


async def test_pasted_controls_do_not_reach_the_terminal(embedded: Orchestrator) -> None:
    async with before(embedded.open) as person:
        await person.press("n")
        await person.sees("New product")
        person.app.screen.query_one("Input").post_message(Paste("a\x1b[31mb\u202ec"))
        await person.sees("Name", "a")
        inert(person, width=80)


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1"])
async def test_another_locale_than_utf_8_is_drawn_in_ascii(
    embedded: Orchestrator, broker: Broker, locale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    product = await configured(embedded.inside, draft(broker))
    await embedded.inside.create_product(ProductDraft(name="Ünïcode 漢字"))
    await reaches(embedded.inside, product.id, ConnectionState.CONNECTED)
    async with before(embedded.open) as person:
        await person.sees("* connected", "Tyres")
        await person.sees("o not configured", "?n?code ????")
        for keys in (
            *("e", "escape enter", "enter", "escape f6 f6 n", "f1"),
            *("escape escape 4", "space", "5"),
        ):
            await person.press(*keys.split())
            assert person.screen.isascii(), person.screen
        await person.sees("(*) all")
        await person.press("4")
        await person.sees("| paused")


def test_the_filters_are_cheap_for_what_needs_no_change() -> None:
    segments = [Segment("plain"), Segment("text")]
    black = Color(0, 0, 0)
    assert Ascii().apply(Inert().apply(segments, black), black) == segments
