"""The pictures of the running demo are the same to the byte, whoever makes them and when."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _pictures(folder: Path, **environment: str) -> dict[str, bytes]:
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-m", "screenshots.make", "--into", folder, "--events", "12", "broker"],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
    )
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_two_runs_make_the_same_pictures(tmp_path: Path) -> None:
    here = _pictures(tmp_path / "here", PYTHONHASHSEED="1", TZ="UTC")
    there = _pictures(
        tmp_path / "there",
        PYTHONHASHSEED="2",
        TZ="Asia/Tokyo",
        HOME=str(tmp_path),
        NO_COLOR="1",
        LANG="C",
    )
    assert set(here) == {"products.svg", "products.png", "broker.svg", "broker.png"}
    for name, picture in here.items():
        assert there[name] == picture, f"{name} differs"
