"""Business events as an insurer's platform publishes them. Pure: the same seed and the same moment
give the same event.

Each carries its name as `event_type`, and the fields that the actions of the API reference look at:
`payment.status`, `policy_id`, `sendEmail` (§1, §4).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import orjson

from cortex_tui.models import TopicsConfig
from cortex_tui.topics import effective_topic
from cortex_tui.values import wire_time

APPLICATION_IDS = ("ABC123", "DEF456", "GHI789")

_DISTRIBUTORS = ("Auto Norte", "Garagem Central", "Pneus do Sul", "Oficina Lima")
_PRODUCTS = ("tyre-basic", "tyre-plus", "tyre-fleet")
_DAMAGES = ("puncture", "sidewall cut", "kerb damage", "vandalism")


@dataclass(frozen=True)
class Event:
    """One event, and the application that it is about."""

    application_id: str
    payload: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.payload["event_type"])

    @property
    def topic(self) -> str:
        """Where it is published: the reference's default prefix and pattern."""
        return effective_topic(TopicsConfig(), application_id=self.application_id)

    @property
    def body(self) -> bytes:
        return orjson.dumps(self.payload)


def random_event(random: Random, moment: datetime) -> Event:
    """The next event of a day at the office, as of `moment`."""
    (name,) = random.choices(tuple(_DETAILS), weights=[weight for weight, _ in _DETAILS.values()])
    application_id = random.choice(APPLICATION_IDS)
    _, details = _DETAILS[name]
    envelope = {
        "event_id": str(UUID(int=random.getrandbits(128), version=4)),
        "event_type": name,
        "occurred_at": wire_time(moment),
        "application_id": application_id,
        "policy_id": f"POL-{random.randrange(10_000, 100_000)}",
    }
    return Event(application_id, envelope | details(random, moment))


def _payment(status: str) -> Callable[[Random, datetime], dict[str, Any]]:
    def details(random: Random, _moment: datetime) -> dict[str, Any]:
        return {
            "payment": {
                "id": f"PAY-{random.randrange(100_000, 1_000_000)}",
                "status": status,
                "amount": random.randrange(900, 18_000) / 100,
                "currency": "EUR",
                "method": random.choice(("card", "direct_debit", "multibanco")),
            }
        }

    return details


def _created_policy(random: Random, _moment: datetime) -> dict[str, Any]:
    return {
        "sendEmail": random.random() < 0.7,
        "distributor": {
            "id": random.randrange(1, 500),
            "name": random.choice(_DISTRIBUTORS),
        },
        "product": random.choice(_PRODUCTS),
    }


def _opened_claim(random: Random, _moment: datetime) -> dict[str, Any]:
    return {
        "claim": {
            "id": f"CLM-{random.randrange(1_000, 10_000)}",
            "damage": random.choice(_DAMAGES),
            "tyres": random.randint(1, 4),
            # Not every garage has said yet, and a condition has to live with that.
            "estimate": None if random.random() < 0.15 else random.randrange(4_000, 90_000) / 100,
        }
    }


def _due_renewal(random: Random, moment: datetime) -> dict[str, Any]:
    days_left = random.choice((30, 14, 7, 1))
    return {
        "renewal": {
            "due_on": (moment + timedelta(days=days_left)).date().isoformat(),
            "days_left": days_left,
            "automatic": random.random() < 0.5,
        }
    }


_DETAILS: dict[str, tuple[int, Callable[[Random, datetime], dict[str, Any]]]] = {
    "payment_marked_as_pending": (8, _payment("pending")),
    "payment_marked_as_paid": (6, _payment("paid")),
    "distributor_successful_created_policy": (4, _created_policy),
    "claim_opened": (2, _opened_claim),
    "policy_renewal_due": (1, _due_renewal),
}
"""By event name: how often among the others, and what it says beyond the envelope."""

EVENT_NAMES = tuple(_DETAILS)
