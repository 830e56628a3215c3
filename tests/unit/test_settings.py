"""Flag, environment, file, default: and a clear word about what is wrong."""

import os
import re
import stat
from pathlib import Path
from typing import NoReturn, get_args

import pytest
from click.testing import CliRunner

from cortex_tui import opening, settings_file
from cortex_tui.backend import ProductIdKeeper
from cortex_tui.cli import main
from cortex_tui.settings import Colour, Context, Remembered, Settings, SettingsError, Target


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CORTEX_")]:
        if name != "CORTEX_REQUIRE_MOSQUITTO":
            monkeypatch.delenv(name)


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text)
    return path


def test_without_a_file_there_are_defaults(tmp_path: Path) -> None:
    assert settings_file.load(tmp_path / "none.toml") == Settings()


def test_contexts_are_read(tmp_path: Path) -> None:
    loaded = settings_file.load(
        written(
            tmp_path,
            """
            theme = "nord"
            default_context = "prod"
            [contexts.prod]
            url = "https://localhost:8004"
            token = "hunter2"
            colour = "red"
            read_only = true
            """,
        )
    )
    prod = loaded.context("prod", "--context")
    assert (prod.read_only, prod.colour) == (True, "red")
    assert "hunter2" not in repr(loaded)
    assert opening.choose(loaded).name == "prod"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("theme = ", "is not valid TOML"),
        ("theme = 'nord'\nkeys = [\n", "is not valid TOML: Invalid value (at the end, line 2)"),
        ("theme = 'nord'\nkeys", "(at the end, line 2)"),
        pytest.param(f"test_seconds = {'9' * 5_000}", "a number that is too long", id="digits"),
        pytest.param(f"theme = {'[' * 5_000}", "too many lists or tables", id="deep"),
        pytest.param(f"test_seconds = 0x{'f' * 5_000}", "a number that is too long", id="hex"),
        ("colour = 'red'", "colour: unknown key"),
        ("[contexts.a]\nurl = 'localhost'", "url has no scheme"),
        ("[contexts.a]\nurl = 'ftp://x'", "contexts.a: url has a scheme that is not supported: "),
        ("[contexts.a]\nurl = 'http://x'\ndb = 'y'", "db and url are both set"),
        (
            "[contexts.a]\nurl = 'http://x'\ntoken = 'hunter2'\ntoken_file = 'y'",
            "token and token_file are both",
        ),
        ("[contexts.a]\ntoken = 'hunter2'", "contexts.a: a token is set without url"),
        ("[contexts.a]\ntoken_file = 'y'", "contexts.a: a token is set without url"),
        ("[contexts.a]\ncolour = 'hunter2'", "contexts.a.colour"),
        ("[contexts.'a b']\n", "contexts.a b"),
        ("durability = 'fast'", "durability"),
        ("mouse = 'no'", "mouse: it has to be true or false"),
        ("mouse = 1", "mouse: it has to be true or false"),
        ("mouse = 2026-01-01", "mouse: it has to be true or false"),
        ("theme = 2026-01-01", "theme: it has to be text, in quotes"),
        ("test_seconds = '10'", "test_seconds: it has to be a number"),
        ("test_seconds = true", "test_seconds: it has to be a number"),
        ("test_seconds = 10:00:00", "test_seconds"),
        ("keys = 2026-01-01", "keys: it has to be a table"),
        ("[contexts.a]\nread_only = 'yes'", "contexts.a.read_only: it has to be true or false"),
        ("[contexts.a]\nverify = 0", "contexts.a.verify: it has to be true or false"),
        ("[contexts.a]\nca_file = 7", "contexts.a.ca_file: it has to be text, in quotes"),
        ("[contexts.a]\nca_file = 2026-01-01", "contexts.a.ca_file: it has to be text"),
        ("[contexts.a]\nurl = 'http://'", "contexts.a: url has no host"),
        ("[contexts.a]\nurl = 'http://:8004'", "contexts.a: url has no host"),
        ("[contexts.a]\nurl = 'http://[::1'", "contexts.a: url cannot be read"),
        ("[contexts.a]\nurl = 'http://x:99999'", "contexts.a: url has a port that cannot be"),
        ("[contexts.a]\nurl = 'http://x:0'", "contexts.a: url has a port that cannot be"),
        ("[contexts.a]\nurl = 'http://x:no'", "contexts.a: url has a port that cannot be"),
        ("[contexts.a]\nurl = 'http://u:hunter2@x'", "contexts.a: url has a user name or password"),
    ],
)
def test_what_is_wrong_is_named_and_no_value_is_quoted(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(SettingsError) as error:
        settings_file.load(written(tmp_path, text))
    assert says in error.value.message
    assert "hunter2" not in error.value.message + error.value.hint


@pytest.mark.parametrize(
    ("text", "page"),
    [("mouse = 1", "configuration"), ("[delivery.email]\nport = 'x'", "actions")],
)
def test_the_page_that_is_named_has_the_key(tmp_path: Path, text: str, page: str) -> None:
    with pytest.raises(SettingsError) as error:
        settings_file.load(written(tmp_path, text))
    assert error.value.hint == f"See docs/{page}.md for every key."
    key = text.splitlines()[-1].partition(" ")[0]
    shown = (Path(__file__).parents[2] / "docs" / f"{page}.md").read_text()
    assert f"`{key}" in shown


def test_a_folder_of_templates_in_no_home(tmp_path: Path) -> None:
    settings = Settings(delivery={"templates": "~nobody-of-this-name/templates"})
    with pytest.raises(SettingsError, match=r"config\.toml: delivery\.templates: ~nobody") as error:
        settings.delivery_beside(tmp_path / "config.toml")
    assert error.value.hint


def test_the_documentation_names_every_colour() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    (line,) = re.findall(r"^`colour` is one of (.*)\.", page, re.MULTILINE)
    assert re.findall("`([a-z]+)`", line) == list(get_args(Colour))


def test_an_unknown_context_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="no context 'prod'") as error:
        Settings(contexts={"bench": Context()}).context("prod", "--context")
    assert "local, bench" in error.value.hint


def test_a_flag_beats_the_environment_which_beats_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = Settings(default_context="c", contexts={"c": Context(db=Path("file.db"))})
    assert opening.choose(loaded).context.db == Path("file.db")
    monkeypatch.setenv("CORTEX_DB", "environment.db")
    assert opening.choose(loaded).context.db == Path("environment.db")
    assert opening.choose(loaded, db=Path("flag.db")).context.db == Path("flag.db")
    assert opening.choose(loaded, context="c").context.db == Path("file.db")


def test_two_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="--db and --context are both given"):
        opening.choose(Settings(), db=Path("a"), context="b")
    monkeypatch.setenv("CORTEX_DB", "a")
    monkeypatch.setenv("CORTEX_URL", "http://localhost")
    with pytest.raises(SettingsError, match="CORTEX_DB and CORTEX_URL are both given"):
        opening.choose(Settings())


def test_a_url_needs_a_scheme() -> None:
    with pytest.raises(SettingsError, match="--url has no scheme: start it with http"):
        opening.choose(Settings(), url="localhost:8004")


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    context = Context(url="http://localhost", token_file=tmp_path / "token")
    token = context.read_token()
    assert token is not None
    assert token.get_secret_value() == "hunter2"


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_secret_that_is_not_there_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(SettingsError, match="token_file"):
        Context(url="http://localhost", token_file=tmp_path / "token").read_token()


def test_what_is_remembered_is_there_next_time(tmp_path: Path) -> None:
    Remembered(tmp_path / "deep" / "r.json").set("theme", "nord")
    assert Remembered(tmp_path / "deep" / "r.json").get("theme") == "nord"
    assert stat.S_IMODE((tmp_path / "deep" / "r.json").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["r.json"]


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000], ids=range(4))
def test_what_was_remembered_is_never_worth_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    assert Remembered(tmp_path / "r.json").get("theme") is None


@pytest.mark.parametrize("kept", [5, "12", {"1": 1}, [1, "x", None, True]], ids=str)
async def test_product_ids_are_those_of_what_was_remembered_that_are_some(kept: object) -> None:
    url, remembered = "http://localhost:8004", Remembered(None)
    remembered.set(f"product_ids {url}", kept)
    backend = await opening.open_backend(Target(url, Context(url=url)), Settings(), remembered)
    assert isinstance(backend, ProductIdKeeper)
    assert backend.product_ids == ((1,) if isinstance(kept, list) else ())
    await backend.aclose()


def test_without_a_home_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(number: int) -> NoReturn:  # as to a container that is run under any number
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", unknown)
    finished = CliRunner().invoke(main, ["products"])
    assert finished.exit_code == 2
    assert finished.stderr.startswith("cortex: there is no home folder\n  Set HOME ")
