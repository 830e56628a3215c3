"""Commands whose output another program reads, and not always to its end."""

import os
import subprocess
from pathlib import Path

import pytest

from cortex_tui.demo.broker import Broker
from tests.orchestrators import draft
from tests.processes import CORTEX, prepare


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
