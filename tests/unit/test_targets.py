"""What a target says where it did not take a job."""

import pytest

from cortex_tui.delivery_settings import PublishSettings
from cortex_tui.local.jobs import Claim
from cortex_tui.local.targets import MAX_TOPIC, PublishTarget, TargetFailed


def claim(topic: str) -> Claim:
    return Claim(
        id=1,
        key="key",
        product_id=1,
        subscription_id=1,
        target="publish",
        action=b"{}",
        content=b'{"topic": "%s", "qos": 0, "retain": false}' % topic.encode(),
        event=b"{}",
        event_id=1,
        attempts=1,
        failures="[]",
        created_at=0.0,
    )


async def nowhere(*_: object) -> None:
    raise TargetFailed("there is no connection to the broker", 7.0)


@pytest.mark.parametrize(
    ("topic", "named"),
    [("outcomes/paid", "outcomes/paid"), ("a" * 500, "a" * (MAX_TOPIC - 1) + "…")],
)
async def test_a_publication_that_failed_names_its_topic(topic: str, named: str) -> None:
    with pytest.raises(TargetFailed) as failed:
        await PublishTarget(PublishSettings(), nowhere).send(claim(topic))
    assert str(failed.value) == f"there is no connection to the broker (on {named})"
    assert failed.value.retry_after == 7.0
