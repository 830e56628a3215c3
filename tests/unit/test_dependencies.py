"""Dependencies: each is pinned, each is explained, and nothing says where it was fetched from."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _names(requirements: list[str]) -> set[str]:
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}
    return {_normal(name) for name in names} - {"cortex-tui"}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _direct() -> set[str]:
    lists = [
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    return set().union(*map(_names, lists))


def test_every_direct_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert not [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)]
    assert _direct() <= {_normal(pin.partition("==")[0]) for pin in pins}


def test_every_direct_dependency_is_explained_and_no_other() -> None:
    rows = re.findall(
        r"^\| ([\w.-]+) \|", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE
    )
    explained = {_normal(row) for row in rows} - {"package"}
    assert explained == _direct() | _names(PROJECT["build-system"]["requires"])
