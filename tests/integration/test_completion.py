"""What a shell is told to complete, by the command as the shell asks it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft
from tests.processes import CORTEX
from tests.webservers import Answer, StartWeb

NAMES = (
    "Car tyres",
    "Cards $(reboot) 'x'",
    "Travel insurance",
    "two\nlines",
    r"back\slash",
    "Bus, car",
)


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """`environment` with three contexts; the database of "bench" has products."""

    async def prepare() -> None:
        backend = await LocalBackend.open(tmp_path / "bench.db")
        for name in NAMES:
            await backend.create_product(ProductDraft.model_construct(name=name))
        await backend.aclose()

    asyncio.run(prepare())
    config = tmp_path / "config.toml"
    config.write_text(
        f"[contexts.bench]\ndb = '{tmp_path}/bench.db'\n[contexts.prod]\nurl = 'http://localhost:1'"
    )
    return {**environment, "CORTEX_CONFIG": str(config)}


def completed(environment: dict[str, str], *words: str, shell: str = "zsh") -> list[str]:
    """What is offered for the last of `words`."""
    asked = {
        "_CORTEX_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
    }
    done = subprocess.run(
        CORTEX, env={**environment, **asked}, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    if shell == "bash":
        return [line.partition(",")[2] for line in done.stdout.splitlines()]
    if shell == "fish":
        return [line.removeprefix("plain,") for line in done.stdout.splitlines()]
    return done.stdout.splitlines()[1::3]


def test_contexts(shell: dict[str, str]) -> None:
    assert completed(shell, "cortex", "--context", "") == ["local", "bench", "prod"]
    assert completed(shell, "cortex", "--context", "B") == ["bench"]


def test_themes(shell: dict[str, str]) -> None:
    assert completed(shell, "cortex", "--theme", "cortex") == ["cortex-dark", "cortex-light"]


@pytest.mark.parametrize(
    "command", ["status", "subscriptions", "reconnect", "events", "actions", "test"]
)
def test_products(shell: dict[str, str], command: str) -> None:
    assert completed(shell, "cortex", "--context", "bench", command, "car") == list(NAMES[:2])


def test_products_for_bash(shell: dict[str, str]) -> None:
    words = ("cortex", "--context", "bench", "status")
    assert completed(shell, *words, "ca", shell="bash") == [
        r"Car\\ tyres",
        r"Cards\\ \\$\\(reboot\\)\\ \\'x\\'",
    ]
    assert completed(shell, *words, '"Ca', shell="bash") == ["Car tyres"]


def test_bash_itself_takes_the_names_for_what_they_are(shell: dict[str, str]) -> None:
    script = """
        eval "$(_CORTEX_COMPLETE=bash_source cortex)"
        COMP_WORDS=(cortex --context bench status "") COMP_CWORD=4
        _cortex_completion cortex
        eval "printf '%s\\n' ${COMPREPLY[*]}"
    """
    path = f"{Path(sys.executable).parent}:{shell['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], env={**shell, "PATH": path}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert sorted(done.stdout.splitlines()) == sorted(filter(str.isprintable, NAMES)), done.stderr


def test_fish_is_offered_no_name_that_it_would_cut(shell: dict[str, str]) -> None:
    words = ("cortex", "--context", "bench", "status")
    offered = completed(shell, *words, "", shell="fish")
    assert r"back\slash" in offered
    assert [name for name in offered if name.startswith("Bus")] == []


def test_nobody_is_asked(shell: dict[str, str], web: StartWeb) -> None:
    server = web(lambda _: Answer(200, b""))
    assert completed(shell, "cortex", "--url", server.url, "status", "") == []
    assert completed(shell, "cortex", "--context", "prod", "status", "") == []
    assert server.requests == []


def test_what_is_wrong_is_not_told_in_the_middle_of_a_line(
    shell: dict[str, str], tmp_path: Path
) -> None:
    missing = str(tmp_path / "missing.db")
    assert completed(shell, "cortex", "--db", missing, "status", "") == []
    assert not Path(missing).exists()
    assert completed(shell, "cortex", "--context", "nowhere", "status", "") == []
    Path(shell["CORTEX_CONFIG"]).write_text("theme = ")
    assert completed(shell, "cortex", "--context", "") == ["local"]
