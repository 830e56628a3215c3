"""`cortex test` as a person types it."""

import asyncio
import json
import os
import pty
import select
import signal
import subprocess
import termios
from pathlib import Path

import pytest

from cortex_tui.diagnosing import FAILED_AT
from cortex_tui.diagnosis import Stage
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ProductDraft
from cortex_tui.server import create_app, serving
from tests.brokers import ANONYMOUS, StartMosquitto, tls, users
from tests.certificates import Authority
from tests.orchestrators import configured, draft
from tests.processes import CORTEX, run
from tests.waiting import DEADLINE, wait_until


def test_a_url_and_a_round_trip(
    environment: dict[str, str], start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    url = f"mqtt://localhost:{broker.port}"
    done = run(environment, "test", url, "--filter", "a/#", "--round-trip", "a/b")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Test of {url}\nConnected in ")
    assert "Filter a/#: up to QoS 2" in done.stdout
    assert "Round trip with QoS 2: " in done.stdout
    assert not Path(environment["CORTEX_DB"]).exists(), "no orchestrator was opened for that"


@pytest.mark.parametrize(
    ("url", "stage", "cause"),
    [
        ("mqtt://no-such-host.invalid", Stage.DNS, "There is no host named no-such-host.invalid"),
        ("mqtt://localhost:1", Stage.TCP, "localhost:1 refused the connection"),
        ("mqtt://[::1]:1", Stage.TCP, "[::1]:1 refused the connection"),
    ],
)
def test_the_exit_code_names_the_stage(
    environment: dict[str, str], url: str, stage: Stage, cause: str
) -> None:
    done = run(environment, "test", url, "--json")
    assert done.returncode == FAILED_AT[stage]
    answer = json.loads(done.stdout)
    assert answer["target"] == url
    assert (answer["status"], answer["connected"]) == ("error", False)
    assert answer["details"].startswith(f"{cause}. ")
    assert [each["stage"] for each in answer["stages"] if each["outcome"] == "failed"] == [stage]


def test_a_ca_file_and_what_goes_wrong_without(
    environment: dict[str, str],
    start_mosquitto: StartMosquitto,
    authority: Authority,
    tmp_path: Path,
) -> None:
    broker = start_mosquitto(*ANONYMOUS, *tls(authority.server("for-the-command")))
    url = f"mqtts://localhost:{broker.port}"
    without = run(environment, "test", url)
    assert without.returncode == FAILED_AT[Stage.TLS] == 12
    assert "does not know: CN=Cortex Test Authority" in without.stdout
    assert "SHA-256 " in without.stdout
    assert "Give the certificate of that authority as --ca-file" in without.stdout
    assert "ca_cert" in run(environment, "test", url, "--json").stdout
    assert run(environment, "test", url, "--ca-file", str(authority.cert)).returncode == 0
    another = Authority(tmp_path, "Another Authority").cert
    other = run(environment, "test", url, "--ca-file", str(another))
    assert other.returncode == FAILED_AT[Stage.TLS]
    assert "not issued by the authority in --ca-file, but by CN=Cortex Test" in other.stdout
    assert "Turn on TLS (mqtts://)" in run(environment, "test", url.replace("s:", ":")).stdout
    unverified = run(environment, "test", url, "--no-verify")
    assert unverified.returncode == 0
    assert "The certificate is not verified" in unverified.stdout
    missing = run(environment, "test", url, "--ca-file", "no.pem")
    assert missing.returncode == 2
    assert "no.pem cannot be read (No such file or directory): check the path" in missing.stderr


def test_a_password_comes_from_a_file_or_the_environment_and_never_from_the_url(
    environment: dict[str, str], start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "wonderland"}))
    url = f"mqtt://alice@localhost:{broker.port}"
    file = tmp_path / "password"
    file.write_text("wonderland\n")
    assert run(environment, "test", url, "--password-file", str(file)).returncode == 0
    inherited = {**environment, "CORTEX_TEST_PASSWORD": "wonderland"}
    assert run(inherited, "test", url).returncode == 0
    wrong = run({**environment, "CORTEX_TEST_PASSWORD": "looking-glass"}, "test", url)
    assert wrong.returncode == FAILED_AT[Stage.CONNECT] == 13
    assert "Not authorized. Check username and password first" in wrong.stdout
    refused = run(environment, "test", f"mqtt://alice:wonderland@localhost:{broker.port}")
    assert refused.returncode == 2
    assert "the URL has a password" in refused.stderr
    for shown in (wrong, refused):
        assert "wonderland" not in shown.stdout + shown.stderr
        assert "looking-glass" not in shown.stdout + shown.stderr


def shown_until(terminal: int, text: bytes) -> bytes:
    """What a terminal shows, once `text` is there."""
    shown = b""

    def comes() -> bool:
        nonlocal shown
        if select.select([terminal], [], [], 0)[0]:
            shown += os.read(terminal, 4_096)
        return text in shown

    wait_until(comes)
    return shown


def test_a_password_is_asked_for_and_not_shown(
    environment: dict[str, str], start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "wonderland"}))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*CORTEX, "test", f"mqtt://alice@localhost:{broker.port}"],
        env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = shown_until(ours, b"Password of alice")
    os.write(ours, b"wonderland\n")
    try:
        while more := os.read(ours, 4_096):
            shown += more
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(DEADLINE) == 0
    assert b"Connected in" in shown
    assert b"wonderland" not in shown


@pytest.mark.parametrize("key", [b"\x03", b"\x04"], ids=["Ctrl+C", "Ctrl+D"])
def test_one_key_gives_the_question_for_the_password_up(
    environment: dict[str, str], key: bytes
) -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.execve(CORTEX[0], [*CORTEX, "test", "mqtt://alice@localhost:1"], environment)
    before = termios.tcgetattr(terminal)
    shown = shown_until(terminal, b"Password of alice")
    wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO)
    os.write(terminal, key)
    ended = [0, 0]

    def ends() -> bool:
        ended[:] = os.waitpid(process, os.WNOHANG)
        return ended[0] == process

    try:
        wait_until(ends)
    except AssertionError:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise
    assert os.waitstatus_to_exitcode(ended[1]) == 130
    assert termios.tcgetattr(terminal) == before, "what is typed shows again"
    shown += os.read(terminal, 4_096)
    os.close(terminal)
    assert b"\n" in shown, "the prompt of the shell stands on a line of its own"
    assert b"Traceback" not in shown


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--filter", "a#"], "--filter has '#' beside other characters"),
        (["--filter", ""], "--filter is empty"),
        (["--filter", "$share//a"], "the group of --filter is empty"),
        (["--filter", "$share/g"], "--filter is empty"),
        (["--round-trip", ""], "--round-trip is empty"),
        (["--round-trip", "a/+"], "--round-trip contains a wildcard"),
        (["--ca-file", ""], "--ca-file: . is no file: name one"),
        (["--ca-file", "/dev/zero"], "--ca-file: /dev/zero is no file: name one"),
        (["--ca-file", "~nobody-here/x"], "--ca-file: ~nobody-here/x cannot be read"),
        (["--ca-file", __file__], "--ca-file is no certificate in PEM form"),
        (["--cert-file", __file__], "--cert-file and --key-file belong together"),
        (["--key-file", __file__], "--cert-file and --key-file belong together"),
        (["--password-file", __file__], "the URL names no user"),
        (["--timeout", "nan"], "--timeout"),
        (["--timeout", "61"], "--timeout"),
        (["--timeout", "soon"], "--timeout"),
    ],
)
def test_an_option_that_cannot_be_is_named(
    environment: dict[str, str], options: list[str], problem: str
) -> None:
    done = run(environment, "test", "mqtt://localhost:1", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://localhost", "another scheme than mqtt or mqtts"),
        ("ws://localhost", "another scheme"),
        ("mqtt://localhost:no", "It is a number from 1 to 65,535"),
        ("mqtt://localhost:0", "It is a number from 1 to 65,535"),
        ("mqtt://localhost:65536", "It is a number from 1 to 65,535"),
        ("mqtt://alice:wonder#land@localhost", "goes on after the port"),
        ("mqtt://[::1", "the URL cannot be read"),
        ("mqtt://localhost/topic", "goes on after the port"),
        ("mqtt://", "cortex: host is empty"),
        ("mqtt://a..b", "host has an empty part between two dots"),
    ],
)
def test_a_url_that_is_none(environment: dict[str, str], url: str, problem: str) -> None:
    done = run(environment, "test", url)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert "wonder" not in done.stderr


async def test_products_are_tested_as_they_are_stored(
    environment: dict[str, str],
    local: LocalBackend,
    start_mosquitto: StartMosquitto,
    tmp_path: Path,
) -> None:
    broker = start_mosquitto(*users(tmp_path, {"alice": "wonderland"}))
    await configured(local, draft(broker, username="alice", password="wonderland"))
    await local.create_product(ProductDraft(name="Not configured"))

    async def test(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ("--url", url, "test", *arguments)
        without = {name: value for name, value in environment.items() if name != "CORTEX_DB"}
        return await asyncio.to_thread(run, without, *command)

    async with serving(create_app(local), port=0) as url:
        one = await test(url, "tyres", "--json")
        assert one.returncode == 0, one.stderr
        answer = json.loads(one.stdout)
        assert answer["target"] == f"Tyres, {broker.host}:{broker.port}"
        (granted,) = answer["filters"]
        assert granted["filter"] == "$share/bre//v3/applications/+/business-events"
        every = await test(url, "--json")
        assert [each["status"] for each in json.loads(every.stdout)] == ["success"]
        unknown = await test(url, "localhost")
        assert unknown.returncode == 2
        assert "To test a broker itself, write mqtt://HOST." in unknown.stderr
        nothing = await test(url, "not configured")
        assert nothing.returncode == 2
        assert "MQTT is not configured for this product" in nothing.stderr
    async with serving(create_app(local, extensions=False), port=0) as url:
        unlisted = await test(url, "tyres")
        assert unlisted.returncode == 2
