"""Commands whose output another program reads, and not always to its end."""

import os
import subprocess
from pathlib import Path

import pytest

from cortex_tui.demo.broker import Broker
from cortex_tui.models import BrokerConfig, ConfigDraft, SubscriptionDraft, TopicsConfig
from tests.orchestrators import draft
from tests.processes import CORTEX, prepare, run

UNREACHABLE = ConfigDraft(broker=BrokerConfig(host="127.0.0.1", port=1), topics=TopicsConfig())


@pytest.mark.parametrize(
    "arguments",
    [["products"], ["products", "--json"], ["status", "--watch"], ["events", "tyres", "--follow"]],
    ids=" ".join,
)
def test_an_output_that_nobody_reads_ends_a_command_without_a_word(
    environment: dict[str, str], tmp_path: Path, broker: Broker, arguments: list[str]
) -> None:
    prepare(tmp_path / "cortex.db", draft(broker))
    unread, output = os.pipe()
    os.close(unread)
    try:
        finished = subprocess.run(
            [*CORTEX, *arguments],
            env=environment, stdout=output, stderr=subprocess.PIPE, text=True, timeout=60,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    finally:
        os.close(output)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "Error" not in (tmp_path / "state" / "cortex" / "cortex.log").read_text()


def test_what_goes_on_ends_with_its_reader_though_there_is_nothing_to_say(
    environment: dict[str, str], tmp_path: Path, broker: Broker
) -> None:
    prepare(tmp_path / "cortex.db", draft(broker))
    with subprocess.Popen(
        [*CORTEX, "status", "--watch"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL,
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert any("Tyres; connected" in line for line in watching.stdout)
        watching.stdout.close()
        try:
            assert watching.wait(timeout=20) == 0
        finally:
            watching.kill()
        assert watching.stderr.read() == ""


@pytest.mark.parametrize("arguments", [["products"], ["--help"]], ids=" ".join)
def test_an_output_that_takes_no_more_is_told(
    environment: dict[str, str], tmp_path: Path, arguments: list[str]
) -> None:
    prepare(tmp_path / "cortex.db", UNREACHABLE)
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [*CORTEX, *arguments],
            env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    message, _ = finished.stderr.splitlines()
    assert message == "cortex: the output cannot be written: No space left on device"
    assert finished.returncode == 2


def test_the_exit_code_tells_what_no_message_can(environment: dict[str, str]) -> None:
    with Path("/dev/full").open("w") as full:
        for arguments in (["nonsense"], ["status", "nobody"]):
            finished = subprocess.run(
                [*CORTEX, *arguments],
                env=environment, stderr=full, timeout=60, stdin=subprocess.DEVNULL, check=False,
            )  # fmt: skip
            assert finished.returncode == 2


@pytest.mark.parametrize(
    ("closed", "command", "code", "says"),
    [
        ("<&-", "", 2, "this needs a terminal"),
        (">&-", "events nobody --follow", 2, "there is no product"),
        ("<&- >&-", "products", 0, ""),
    ],
)
def test_a_stream_that_was_closed_is_no_fault_of_the_program(
    environment: dict[str, str], tmp_path: Path, closed: str, command: str, code: int, says: str
) -> None:
    prepare(tmp_path / "cortex.db", UNREACHABLE)
    finished = subprocess.run(
        ["sh", "-c", f'"$@" {command} {closed}', "sh", *CORTEX],
        env=environment, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (finished.returncode, says in finished.stderr) == (code, True)
    assert "unforeseen" not in finished.stderr


def test_what_the_encoding_of_the_output_lacks_is_escaped(
    environment: dict[str, str], tmp_path: Path
) -> None:
    prepare(tmp_path / "cortex.db", UNREACHABLE, SubscriptionDraft(name="gezahlt in €"))
    western = {**environment, "PYTHONIOENCODING": "latin-1"}
    listed = run(western, "subscriptions", "tyres")
    assert (listed.returncode, r"gezahlt in \u20ac" in listed.stdout) == (0, True)
