"""The README and docs/keys.md say what the program does now.

`python -m tests.unit.test_readme` writes their tables of keys anew.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cortex_tui.commands import COMMANDS, Command, Scope

ROOT = Path(__file__).parents[2]
KEYS = re.compile(r"(<!-- keys: [^\n]*-->\n).*(<!-- /keys -->)", re.DOTALL)
COMMAND_IDS = re.compile(r"(<!-- commands: [^\n]*-->\n).*(<!-- /commands -->)", re.DOTALL)
SHOWN = {"slash": "/", "question_mark": "?", "escape": "esc", "colon": ":"}


def key_table() -> str:
    lines = ["", "| where | key | `:` | does |", "|---|---|---|---|"]
    for scope in Scope:
        for command in COMMANDS.values():
            if command.scope is scope:
                keys = _keys(command)
                aliases = " ".join(f"`{alias}`" for alias in command.aliases)
                lines.append(f"| {scope} | {keys} | {aliases} | {command.help} |")
    return "\n".join([*lines, "", ""])


def id_table() -> str:
    lines = ["", "| id | key | does |", "|---|---|---|"]
    for command in COMMANDS.values():
        lines.append(f"| `{command.id}` | {_keys(command)} | {command.help} |")
    return "\n".join([*lines, "", ""])


def _keys(command: Command) -> str:
    return " or ".join(f"`{SHOWN.get(key, key)}`" for key in command.keys.split(",") if key)


PAGES = (
    (ROOT / "README.md", KEYS, key_table),
    (ROOT / "docs" / "keys.md", COMMAND_IDS, id_table),
)


def with_keys(page: str, place: re.Pattern[str], table: Callable[[], str]) -> str:
    return place.sub(lambda found: found[1] + table() + found[2], page)


@pytest.mark.parametrize(("path", "place", "table"), PAGES)
def test_the_keys_are_those_of_the_command_table(
    path: Path, place: re.Pattern[str], table: Callable[[], str]
) -> None:
    page = path.read_text()
    assert place.search(page)
    assert with_keys(page, place, table) == page


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


OF_A_PRODUCT = re.compile(
    r"cortex (?:--url \S+ )?(?:status|subscriptions|reconnect|test|events|actions) "
    r"(?:\"(?P<quoted>[^\"]+)\"|(?P<bare>[a-z]+)(?=[\s`]))"
)


def test_examples_name_a_product_of_the_demo() -> None:
    """So that whoever tries them there sees them work."""
    source = (ROOT / "cortex_tui" / "demo" / "products.py").read_text()
    known = [name.casefold() for name in re.findall(r'ProductDraft\(name="([^"]+)"', source)]
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("cortex_tui/*.py")]
    named = [
        found["quoted"] or found["bare"]
        for page in pages
        for found in OF_A_PRODUCT.finditer(page.read_text())
    ]
    assert len(named) > 10
    assert set(named) <= set(known)


if __name__ == "__main__":
    for path, place, table in PAGES:
        path.write_text(with_keys(path.read_text(), place, table))
