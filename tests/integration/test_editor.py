"""The actions of a subscription in the person's own editor, in a real terminal."""

import json
import os
import sys
from pathlib import Path

import pytest

from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft, SubscriptionDraft
from tests.integration.test_leaving import Seen
from tests.waiting import until

F2, F6, BACKTAB, LEAVE = b"\x1bOQ", b"\x1b[17~", b"\x1b[Z", b"\x03"
EDITOR = """
import sys
from pathlib import Path
path = Path(sys.argv[-1])
assert path.read_text() == ""
print("the editor has the terminal")
path.write_text({text!r})
sys.exit({code})
"""


async def edited(
    environment: dict[str, str],
    folder: Path,
    text: str,
    code: int,
    shows: bytes,
    saves: bytes,
    calls: bytes = F6,
    editor: str = "",
) -> list[object]:
    """The actions after an editor that `calls` opens, which writes `text` and ends with `code`;
    once `shows` is seen the keys `saves` are pressed."""
    backend = await LocalBackend.open(folder / "cortex.db")
    product = await backend.create_product(ProductDraft(name="Tyres"))
    await backend.create_subscription(product.id, SubscriptionDraft(name="audit", topic="a/b"))
    await backend.aclose()
    script = folder / "editor.py"
    script.write_text(EDITOR.format(text=text, code=code))
    seen = Seen({**environment, "EDITOR": editor or f"{sys.executable} {script}"})
    try:
        for wanted, keys in (
            (b"Tyres", b"\r"),
            (b"Clean session", b"3"),
            (b"audit", b"\r"),
            (b"listens to", calls),
            (shows, saves),
        ):
            await until(lambda wanted=wanted: seen.shows(wanted))  # type: ignore[misc]
            assert b"Traceback" not in seen.output
            seen.output = b""
            os.write(seen.ours, keys)
        if saves != LEAVE:
            await until(lambda: seen.shows(b"RECEIVED"))  # in the table again
            os.write(seen.ours, LEAVE)
        await until(seen.ends)
        assert seen.process.returncode == 0
    finally:
        seen.close()
    backend = await LocalBackend.open(folder / "cortex.db")
    [row] = await backend.subscriptions(product.id)
    await backend.aclose()
    return [action.model_dump() for action in row.actions]


async def test_what_the_editor_leaves_is_taken(environment: dict[str, str], tmp_path: Path) -> None:
    actions = [{"type": "record"}]
    text = json.dumps(actions)
    assert await edited(environment, tmp_path, text, 0, b'"record"', F2) == actions


async def test_it_opens_out_of_the_field_of_the_actions_too(
    environment: dict[str, str], tmp_path: Path
) -> None:
    actions = [{"type": "record"}]
    text = json.dumps(actions)
    taken = await edited(environment, tmp_path, text, 0, b'"record"', F2, calls=BACKTAB + F6)
    assert taken == actions


@pytest.mark.parametrize(
    ("text", "code", "shows"),
    [("[]", 3, b"ended with code 3"), ("{nonsense", 0, b"not valid JSON")],
)
async def test_what_goes_wrong_is_said_and_nothing_is_lost(
    environment: dict[str, str], tmp_path: Path, text: str, code: int, shows: bytes
) -> None:
    assert await edited(environment, tmp_path, text, code, shows, LEAVE) == []


async def test_an_editor_that_is_not_there(environment: dict[str, str], tmp_path: Path) -> None:
    shows = b"no-such-editor cannot be started"
    left = await edited(environment, tmp_path, "", 0, shows, LEAVE, editor="no-such-editor")
    assert left == []
