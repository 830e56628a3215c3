"""What is wrong with a product, in the lines of its status."""

from cortex_tui.models import RefusedFilter
from cortex_tui.widgets.status import trouble
from tests.ui.still import STATES


def test_many_refused_filters_leave_room_for_what_else_is_wrong() -> None:
    state = next(each for each in STATES.values() if each.status and each.status.connected)
    assert state.status is not None
    refused = tuple(
        RefusedFilter(filter=f"claims/{number}/#", reason="Not authorized") for number in range(20)
    )
    status = state.status.model_copy(update={"refused_filters": refused, "requires_restart": True})
    lines = [line.plain for line in trouble(state.model_copy(update={"status": status}))]
    assert lines == [
        *(f"✗ Not authorized: claims/{number}/#" for number in range(3)),
        "✗ 17 more; a test shows each",
        "Saved changes wait for a reconnect",
    ]
