"""The demo on each of its brokers: three products, counts that move, and nothing left over."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cortex_tui import demo
from cortex_tui.backend import Backend, BackendError
from cortex_tui.delivery_settings import DeliverySettings
from cortex_tui.demo import broker as brokers
from cortex_tui.demo.desk import REFUSED_AT_FIRST
from cortex_tui.demo.run import TEMPLATES, OpenBackend
from cortex_tui.events import JobChoice, JobState, Outcome
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import ConnectionStatus, Product
from cortex_tui.states import ConnectionState
from tests.brokers import require_mosquitto
from tests.waiting import until


@pytest.fixture(params=["mosquitto", "amqtt"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each broker that the demo can run on."""
    if request.param == "mosquitto":
        require_mosquitto()
    else:
        pytest.importorskip("amqtt")
        monkeypatch.setattr(brokers, "mosquitto_program", lambda: None)
    return str(request.param)


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test can see what is left over."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


async def _named(backend: Backend) -> dict[str, Product]:
    return {product.name: product for product in await backend.products()}


async def test_it_shows_three_products_and_counts_that_move(kind: str) -> None:
    async with demo.running(LocalBackend.open, rate=100) as running:
        backend = running.backend
        assert running.broker_name.startswith(kind)
        assert running.sharing == (kind == "mosquitto")
        products = await _named(backend)
        assert list(products) == ["Car tyres", "Travel insurance", "Device protection"]
        tyres, travel, device = (product.id for product in products.values())

        async def status(product_id: int) -> ConnectionStatus:
            return await backend.status(product_id)

        async def counting() -> bool:
            subscriptions = await backend.subscriptions(tyres)
            return all(
                (subscription.stats.messages_received > 0) == subscription.enabled
                for subscription in subscriptions
            )

        await until(counting)
        healthy = await status(tyres)
        assert healthy.connected
        assert healthy.connection_error is None
        document = await backend.config(tyres)
        assert document.mqtt_config is not None
        assert document.mqtt_config.broker.port == running.broker_port
        assert document.mqtt_config.topics.use_shared == running.sharing
        subscriptions = {each.name: each for each in document.subscriptions or ()}
        assert len(subscriptions) == 6
        assert [name for name, each in subscriptions.items() if not each.enabled] == [
            "policy_renewal_due"
        ]

        async def latched() -> bool:
            return (await status(travel)).state is ConnectionState.LATCHED

        await until(latched)
        refused = await status(travel)
        assert refused.connection_error is not None
        assert "last-year" not in (await backend.config(travel)).model_dump_json()
        assert (await backend.config(device)).mqtt_config is None


async def test_something_becomes_of_its_events(kind: str) -> None:
    async with demo.running(LocalBackend.open, rate=40) as running:
        backend = running.backend
        [tyres, *_] = await backend.products()

        outcomes: set[Outcome] = set()
        came_to: set[tuple[str, JobState]] = set()

        async def every_kind() -> bool:
            for event in await backend.events(tyres.id, limit=500):
                outcomes.update(decision.outcome for decision in event.decisions)
            for state in JobState:
                jobs = await backend.jobs(tyres.id, states=[state], limit=500)
                came_to.update((job.action.type, state) for job in jobs)
            return outcomes == set(Outcome) and came_to >= {
                ("conditional_email", JobState.RECORDED),
                ("activate_policy", JobState.RECORDED),
                ("record", JobState.RECORDED),
                ("webhook", JobState.DEAD),
                ("webhook", JobState.DONE),
            }

        await until(every_kind)
        done = {kind for kind, state in came_to if state is JobState.DONE}
        assert done == {"webhook"}, "nothing else goes anywhere"
        for subscription in await backend.subscriptions(tyres.id):
            names = [action.template for action in subscription.actions if action.template]
            assert all((TEMPLATES / f"{name}.subject.txt").exists() for name in names)


async def test_its_dead_letters_are_few_and_a_retry_helps_them(kind: str) -> None:
    async with demo.running(LocalBackend.open, rate=200) as running:
        backend = running.backend
        [tyres, *_] = await backend.products()

        async def webhooks(state: JobState) -> int:
            jobs = await backend.jobs(tyres.id, states=[state], limit=500)
            return sum(job.action.type == "webhook" for job in jobs)

        async def many_are_taken() -> bool:
            return await webhooks(JobState.DONE) > 10

        async def none_is_dead() -> bool:
            return await webhooks(JobState.DEAD) == 0

        async def none_waits() -> bool:
            return await webhooks(JobState.PENDING) == 0

        await until(many_are_taken)
        assert await webhooks(JobState.DEAD) == REFUSED_AT_FIRST
        await until(none_waits)
        assert await backend.retry_jobs(tyres.id, JobChoice()) == REFUSED_AT_FIRST
        await until(none_is_dead)


async def test_nothing_is_left_when_it_ends(kind: str, tmp_path: Path) -> None:
    async with demo.running(LocalBackend.open):
        assert len(list((tmp_path / "tmp").iterdir())) == 3  # the database's and two brokers'
        children = _children()
        assert len(children) >= 2
    assert not list((tmp_path / "tmp").iterdir())
    assert not _children() & children


async def test_nothing_is_left_when_the_backend_cannot_be_opened(kind: str, tmp_path: Path) -> None:
    async def fail(_path: Path, *, delivery: DeliverySettings) -> Backend:
        raise BackendError("no backend today")

    with pytest.raises(BackendError, match="no backend today"):
        await _run(fail)
    assert not list((tmp_path / "tmp").iterdir())


async def test_nothing_is_left_after_an_error_inside(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        await _run(LocalBackend.open, lambda: 1 / 0)
    assert not list((tmp_path / "tmp").iterdir())


async def _run(open_backend: OpenBackend, inside: Callable[[], object] = lambda: None) -> None:
    async with demo.running(open_backend):
        inside()


PROGRAM = """
import asyncio
import sys
from cortex_tui import demo
from cortex_tui.demo import broker
from cortex_tui.events import JobState, Outcome
from cortex_tui.local.backend import LocalBackend

if sys.argv[1] == "amqtt":
    broker.mosquitto_program = lambda: None

async def main():
    async with demo.running(LocalBackend.open) as running:
        print(running.broker_name, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, -signal.SIGINT)],
)
def test_a_signal_ends_everything(
    kind: str, number: signal.Signals, status: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().decode().startswith(kind)
            started = _children(process.pid)
            assert len(started) >= 2
            process.send_signal(number)
            if number is not signal.SIGINT:  # asyncio takes the second of these as an order
                process.send_signal(number)
            assert process.wait(timeout=20) == status
        finally:
            process.kill()
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert not list((tmp_path / "tmp").iterdir())


def _children(parent: int | None = None) -> set[int]:
    """The processes that `parent`, by default this one, has started and not waited for."""
    parent = parent or os.getpid()
    task = Path(f"/proc/{parent}/task/{parent}/children")
    if not task.exists():
        pytest.skip("needs Linux's list of child processes")
    return {int(pid) for pid in task.read_text().split()}
