"""The orchestrators a person may have before them: in this process, and behind HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cortex_tui.backend import Backend
from cortex_tui.local.backend import LocalBackend
from cortex_tui.remote import RemoteBackend
from cortex_tui.server import create_app, serving
from cortex_tui.settings import Target

LOCAL = "local"
REMOTE = "remote"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test sees does not depend on whose terminal it is started from."""
    for name in ("NO_COLOR", "TEXTUAL", "TEXTUAL_THEME", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("COLORTERM", "truecolor")


@dataclass
class Orchestrator:
    """What the application opens, and the orchestrator behind it for what prepares a test."""

    inside: LocalBackend
    url: str | None = None

    @property
    def templates(self) -> Path:
        """Where it looks for e-mail templates."""
        return Path(self.inside.label).with_name("templates")

    async def open(self, target: Target) -> Backend:
        return self.inside if self.url is None else await RemoteBackend.open(self.url)


@pytest.fixture(params=[LOCAL, REMOTE])
async def orchestrator(
    request: pytest.FixtureRequest, local: LocalBackend
) -> AsyncIterator[Orchestrator]:
    if request.param == LOCAL:
        yield Orchestrator(local)
        return
    async with serving(create_app(local), port=0) as url:
        yield Orchestrator(local, url)


@pytest.fixture
def embedded(local: LocalBackend) -> Orchestrator:
    return Orchestrator(local)
