"""Server-sent events are put together from pieces of any size."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_tui.remote.events import EventReader, EventTooLarge

STREAM = (
    b': alive\n\ndata: {"a":1}\n\nevent: x\r\ndata:one\r\ndata: two\r\n\r\nid: 7\n\ndata: last\n\n'
)
EVENTS = [b'{"a":1}', b"one\ntwo", b"last"]


@given(st.lists(st.integers(0, len(STREAM)), max_size=len(STREAM)))
def test_pieces_of_any_size(cuts: list[int]) -> None:
    reader = EventReader(limit=1_000)
    edges = [0, *sorted(cuts), len(STREAM)]

    found = [event for start, end in pairwise(edges) for event in reader.feed(STREAM[start:end])]

    assert found == EVENTS


def test_an_unfinished_event_is_not_told() -> None:
    assert list(EventReader(limit=100).feed(b"data: half\n")) == []


@pytest.mark.parametrize(
    "endless", [b"data: " + b"x" * 60, b"data: x\n", b": c" * 20], ids=["line", "lines", "comment"]
)
def test_an_endless_event_is_refused(endless: bytes) -> None:
    reader = EventReader(limit=100)

    def feed() -> None:
        for _ in range(100):
            list(reader.feed(endless))

    with pytest.raises(EventTooLarge):
        feed()
