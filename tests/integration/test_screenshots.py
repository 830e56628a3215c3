"""The pictures of the running demo are the same to the byte, whoever makes them and when."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _pictures(folder: Path, last: str, **environment: str) -> dict[str, bytes]:
    """All the pictures that are on the way to the `last`."""
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-m", "screenshots.make", "--into", folder, "--events", "25", last],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
    )
    return {each.name: each.read_bytes() for each in folder.iterdir()}


@pytest.mark.timeout(240)
def test_two_runs_make_the_same_pictures(tmp_path: Path) -> None:
    here = _pictures(tmp_path / "here", "light", PYTHONHASHSEED="1", TZ="UTC")
    there = _pictures(
        tmp_path / "there",
        "broker",
        PYTHONHASHSEED="2",
        TZ="Asia/Tokyo",
        HOME=str(tmp_path),
        NO_COLOR="1",
        LANG="C",
    )
    assert set(there) == {"products.svg", "products.png", "broker.svg", "broker.png"}
    for name, picture in there.items():
        assert here[name] == picture, f"{name} differs"
