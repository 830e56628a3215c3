"""The keys a person gives to commands: what is taken, what is refused, and how it is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_tui.commands import COMMANDS
from cortex_tui.keymap import keymap
from cortex_tui.settings import SettingsError


def test_a_command_gets_another_key_and_its_neighbours_keep_theirs() -> None:
    keys = keymap({"opening.retry": "f3"})
    assert keys["opening.retry"] == "f3"
    assert keys["products.reconnect"] == "r", "Textual would take it away with the other r"


def test_nothing_wanted_is_nothing_changed() -> None:
    assert keymap({}) == {}


@pytest.mark.parametrize(
    "key", ["c", "Z", "%", "f5", "ctrl+x", "alt+x", "shift+f3", "space", "full_stop", "ß"]
)
def test_keys_that_there_are(key: str) -> None:
    assert "products.new" in keymap({"products.new": key, "products.toggle": "f14"})


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        ({"product.opn": "x"}, "there is no command 'product.opn'", "Did you mean product"),
        ({"zzz": "x"}, "there is no command 'zzz'", "docs/keys.md"),
        ({"products.new": "hyper+x"}, "there is no key 'hyper+x'", "ctrl+x"),
        ({"products.new": "ctrl+i"}, "terminals send ctrl+i as tab", "another key"),
        ({"app.help": "tab"}, "tab goes from field to field", "another key"),
        ({"app.help": "f1,shift+tab"}, "shift+tab goes from field to field", "another key"),
        ({"products.new": " "}, "keys.products.new is empty", "Give it a key"),
        ({"products.new": "r"}, "r would mean both products.new and products.reconnect", "another"),
        ({"products.new": "f1"}, "f1 would mean both products.new and app.help", "another"),
        ({"products.filter": "?"}, "question_mark would mean both", "another"),
        ({"config.save": "f9", "config.apply": "f9"}, "f9 would mean both", "another"),
    ],
)
def test_what_cannot_be_is_explained(wanted: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        keymap(wanted)
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_two_commands_may_change_places() -> None:
    keys = keymap({"products.new": "e", "products.edit": "n"})
    assert (keys["products.new"], keys["products.edit"]) == ("e", "n")


@given(st.dictionaries(st.one_of(st.sampled_from(list(COMMANDS)), st.text()), st.text()))
def test_anything_is_taken_or_refused_in_words(wanted: dict[str, str]) -> None:
    complaint = None
    try:
        keymap(wanted)
    except SettingsError as error:
        complaint = error
    assert complaint is None or (complaint.message and complaint.hint)
