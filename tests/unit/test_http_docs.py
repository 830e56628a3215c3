"""docs/http-api.md names every endpoint, and none that is not there."""

import re
from pathlib import Path
from typing import cast

from cortex_tui.backend import Backend
from cortex_tui.server import create_app
from cortex_tui.server.app import BASE_PATH

TEXT = (Path(__file__).parents[2] / "docs/http-api.md").read_text()


def described(title: str) -> set[tuple[str, str]]:
    section = TEXT.split(f"## {title}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| ([A-Z]+) \| `([^`]+)` \|", section, re.MULTILINE))


def offered(*, extensions: bool) -> set[tuple[str, str]]:
    paths = create_app(cast("Backend", None), extensions=extensions).openapi()["paths"]
    return {
        (method.upper(), path.removeprefix(BASE_PATH)) for path in paths for method in paths[path]
    }


def test_every_endpoint_is_described() -> None:
    documented = offered(extensions=False)
    assert described("Documented endpoints") == documented
    assert described("Extensions") == offered(extensions=True) - documented
