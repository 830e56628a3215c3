"""The README says what the program does now.

`python -m tests.unit.test_readme` writes its table of keys anew.
"""

import re
from pathlib import Path

from cortex_tui.commands import COMMANDS, Scope

ROOT = Path(__file__).parents[2]
KEYS = re.compile(r"(<!-- keys: [^\n]*-->\n).*(<!-- /keys -->)", re.DOTALL)
SHOWN = {"slash": "/", "question_mark": "?", "escape": "esc"}


def key_table() -> str:
    lines = ["", "| where | key | does |", "|---|---|---|"]
    for scope in Scope:
        for command in COMMANDS.values():
            if command.scope is scope:
                keys = " or ".join(f"`{SHOWN.get(k, k)}`" for k in command.keys.split(","))
                lines.append(f"| {scope} | {keys} | {command.help} |")
    return "\n".join([*lines, "", ""])


def with_keys(readme: str) -> str:
    return KEYS.sub(lambda found: found[1] + key_table() + found[2], readme)


def test_the_keys_are_those_of_the_command_table() -> None:
    readme = (ROOT / "README.md").read_text()
    assert KEYS.search(readme)
    assert with_keys(readme) == readme


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


if __name__ == "__main__":
    page = ROOT / "README.md"
    page.write_text(with_keys(page.read_text()))
