"""Small files that a person names: what is wrong with one, in one line."""

import os
import re
from pathlib import Path

import pytest

from cortex_tui.files import MAX_BYTES, read_text


def test_the_home_folder_has_a_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ca.pem").write_text("text")
    assert read_text("~/ca.pem") == "text"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "named.pem cannot be read (No such file or directory): check the path"),
        (b" \n", "named.pem is empty: name another file"),
        (b"\xff\xfe\x00", "named.pem is no text: give a file in PEM form"),
        (b"x" * (MAX_BYTES + 1), f"named.pem is larger than {MAX_BYTES:,} bytes: name another"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, content: bytes | None, problem: str) -> None:
    named = tmp_path / "named.pem"
    if content is not None:
        named.write_bytes(content)
    with pytest.raises(ValueError, match="named") as error:
        read_text(named)
    assert problem in str(error.value)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("~nobody-of-that-name/ca.pem", "cannot be read (there is no such place): check the path"),
        ("a\0b", "contains a NUL character: remove it"),
        ("/", "/ is no file: name one"),
        ("x" * 300, "cannot be read (File name too long): check the path"),
    ],
)
def test_what_is_no_path_at_all(path: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        read_text(path)


def test_a_pipe_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="is no file"):
        read_text(tmp_path / "pipe")
