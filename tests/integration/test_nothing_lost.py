"""A server that is killed while events arrive counts each once and runs each action, in the end."""

from pathlib import Path

from tests.brokers import ANONYMOUS, StartMosquitto
from tests.crashes import Outcome, receiving, survive

EVENTS, KILLS = 2_000, 3


def test_every_event_is_counted_once_and_every_action_runs(
    start_mosquitto: StartMosquitto, tmp_path: Path
) -> None:
    broker = start_mosquitto(*ANONYMOUS, "max_queued_messages 0")
    with receiving() as receiver:
        outcome = survive(broker, tmp_path, receiver, events=EVENTS, kills=KILLS, seed=7)
    assert outcome == Outcome(EVENTS, EVENTS, EVENTS, 0, KILLS)
    assert receiver.keys.keys() == set(range(EVENTS))
    assert all(len(keys) == 1 for keys in receiver.keys.values())
    assert len({key for keys in receiver.keys.values() for key in keys}) == EVENTS
