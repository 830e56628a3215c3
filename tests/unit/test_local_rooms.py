"""The smaller rooms of the embedded orchestrator: lock, network thread, changes, retries."""

import os
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_tui.local.changes import Changes
from cortex_tui.local.connection import LONGEST_DELAY
from cortex_tui.local.lock import DatabaseBusy, DatabaseLock
from cortex_tui.local.network import Network
from cortex_tui.local.retries import FIRST_DELAY, retry_delay
from tests.waiting import wait_until

# -- lock -------------------------------------------------------------------------------------


def test_the_second_process_is_told_who_has_the_database(tmp_path: Path) -> None:
    lock = DatabaseLock(tmp_path / "cortex.db")
    with pytest.raises(DatabaseBusy, match=f"process {os.getpid()}"):
        DatabaseLock(tmp_path / "cortex.db")
    lock.announce("http://127.0.0.1:8004")
    with pytest.raises(DatabaseBusy) as busy:
        DatabaseLock(tmp_path / "cortex.db")
    assert "cortex --url http://127.0.0.1:8004" in busy.value.hint
    lock.release()
    DatabaseLock(tmp_path / "cortex.db").release()


def test_the_lock_ends_with_its_process_however_it_ends(tmp_path: Path) -> None:
    take = (
        "import sys; from pathlib import Path; from cortex_tui.local.lock import DatabaseLock\n"
        "lock = DatabaseLock(Path(sys.argv[1])); print('taken', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", take, str(tmp_path / "cortex.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"taken\n"
        with pytest.raises(DatabaseBusy, match=f"process {owner.pid}"):
            DatabaseLock(tmp_path / "cortex.db")
        owner.kill()
        owner.wait()
        DatabaseLock(tmp_path / "cortex.db").release()


# -- network ----------------------------------------------------------------------------------


def test_calls_run_in_order_on_the_network_thread() -> None:
    network, seen = Network(lambda: None), list[tuple[int, str]]()
    for number in range(100):
        network.call(lambda n=number: seen.append((n, threading.current_thread().name)))  # type: ignore[misc]
    network.close(5)
    assert seen == [(number, "cortex-network") for number in range(100)]


def test_a_failing_call_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    network, seen = Network(lambda: None), list[str]()
    network.call(lambda: seen.append("before"))
    network.call(partial(divmod, 1, 0))
    network.call(lambda: seen.append("after"))
    network.close(5)
    assert seen == ["before", "after"]
    assert "ZeroDivisionError" in caplog.text


def test_timers_are_due_in_their_order_unless_cancelled() -> None:
    network, seen = Network(lambda: None), list[str]()

    def plan() -> None:
        network.later(0.02, lambda: seen.append("second"))
        network.later(0.01, lambda: seen.append("first"))
        network.later(0.015, lambda: seen.append("never")).cancel()

    network.call(plan)
    wait_until(lambda: len(seen) == 2)
    network.close(5)
    assert seen == ["first", "second"]


def test_after_each_round_with_a_ready_socket_the_round_is_finished() -> None:
    rounds: list[bytes] = []
    got: list[bytes] = []
    network = Network(lambda: rounds.append(b"".join(got)))
    ours, theirs = socket.socketpair()

    def ready(*, read: bool, write: bool) -> None:
        assert read
        got.append(ours.recv(100))

    network.call(lambda: network.watch(ours, ready))
    theirs.send(b"hello")
    wait_until(lambda: rounds == [b"hello"])
    network.call(lambda: network.unwatch(ours))
    network.close(5)
    ours.close()
    theirs.close()


def test_what_blocks_does_not_hold_the_network_up() -> None:
    network, release, seen = Network(lambda: None), threading.Event(), list[str]()
    for _ in range(3):
        network.call(lambda: network.dial(lambda: seen.append(f"{release.wait(20)}")))
    network.call(lambda: seen.append("served"))
    wait_until(lambda: seen == ["served"])
    release.set()
    wait_until(lambda: seen == ["served", "True", "True", "True"])
    network.close(5)


def test_a_dialer_outlives_what_fails_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cortex_tui.local.network.DIALERS", 1)
    network, seen = Network(lambda: None), list[str]()
    network.call(lambda: network.dial(partial(seen.remove, "what is not there")))
    network.call(lambda: network.dial(lambda: seen.append("dialled")))
    wait_until(lambda: seen == ["dialled"])
    network.close(5)


# -- changes ----------------------------------------------------------------------------------


async def test_every_watcher_gets_every_change_once_a_beat() -> None:
    changes = Changes()
    with changes.watching() as one, changes.watching() as other:
        for product_id in (1, 2, 2, 3):
            changes.mark(product_id)
        assert [await one.beat(), await other.beat()] == [{1, 2, 3}, {1, 2, 3}]
        threading.Thread(target=changes.mark, args=(4,)).start()
        assert await one.beat() == {4}


async def test_a_change_right_after_the_first_look_is_not_missed() -> None:
    changes = Changes()
    with changes.watching() as watcher:
        changes.mark(1)
        assert await watcher.beat() == {1}


# -- retries ----------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_retry_is_never_too_soon_nor_too_late(failures: int, chance: float) -> None:
    delay = retry_delay(failures, chance, longest=LONGEST_DELAY)
    assert FIRST_DELAY <= delay <= LONGEST_DELAY


def test_retries_double_to_the_longest() -> None:
    delays = [retry_delay(n, 1, longest=LONGEST_DELAY) for n in range(8)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
