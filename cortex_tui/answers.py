"""What surrounds the nouns in an answer: shared by those who give answers and those who read them.

The documented ones are those of the API reference; the others speak in the same manner.
"""

from cortex_tui.events import Event, Job
from cortex_tui.models import ConfigVersion, Model, Product, ProductState, Subscription


class Success(Model):
    """It is done (§6), or will be in a moment."""

    status: str = "success"
    message: str


class SubscriptionList(Model):
    """Every subscription of a product (§4)."""

    subscriptions: tuple[Subscription, ...]


class SubscriptionSaved(Success):
    """A subscription as it is after the change (§5)."""

    message: str = "Subscription updated successfully"
    subscription: Subscription


class ProductList(Model):
    """Extension: every product."""

    products: tuple[Product, ...]


class ProductSaved(Success):
    """Extension: a product as it is after the change."""

    product: Product


class CapabilityList(Model):
    """Extension: what this orchestrator can do beyond the reference, by name.

    A name that is unknown to the reader is to be ignored.
    """

    capabilities: tuple[str, ...]


class States(Model):
    """Extension: one event of the status stream; null is a product that is gone."""

    states: dict[int, ProductState | None]


class ConfigHistory(Model):
    """Extension: the versions of a configuration, newest first."""

    versions: tuple[ConfigVersion, ...]


class EventList(Model):
    """Extension: events of a product, newest first."""

    events: tuple[Event, ...]


class JobList(Model):
    """Extension: actions of a product, newest first."""

    actions: tuple[Job, ...]


class JobsChanged(Success):
    """Extension: how many actions were meant."""

    count: int
