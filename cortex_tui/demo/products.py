"""What the demo shows: three products, made through the same operations that a person uses."""

from pydantic import SecretStr

from cortex_tui.backend import Backend
from cortex_tui.demo.broker import Broker
from cortex_tui.models import (
    Action,
    BrokerConfig,
    ConfigDraft,
    ProductDraft,
    SubscriptionDraft,
    TopicsConfig,
)

SUBSCRIPTIONS = (
    SubscriptionDraft(
        name="payment_marked_as_pending",
        application_id="ABC123",
        description="Handles pending payment events",
        actions=(
            Action(
                type="conditional_email",
                condition="payment.status == 'pending'",
                template="payment_pending",
            ),
        ),
    ),
    SubscriptionDraft(
        name="distributor_successful_created_policy",
        application_id="ABC123",
        description="Triggers when distributor successfully creates a policy",
        actions=(
            Action(type="activate_policy", params={"policy_id": "{{event.policy_id}}"}),
            Action(
                type="conditional_email",
                condition="event.sendEmail == true",
                template="policy_activated",
            ),
        ),
    ),
    SubscriptionDraft(
        name="payment_marked_as_paid",
        description="Activates the policy of a payment that arrived, in any application",
        actions=(Action(type="activate_policy", params={"policy_id": "{{event.policy_id}}"}),),
    ),
    SubscriptionDraft(
        name="claim_opened",
        description="Tells the claims desk about expensive damage",
        actions=(
            Action(
                type="conditional_email",
                condition="claim.estimate > 300",
                template="claim_opened",
                recipients=["claims@example.com"],
            ),
            Action(
                type="webhook",
                condition="claim.estimate > 700",
                params={"claim": "{{claim.id}}", "estimate": "{{claim.estimate}}"},
            ),
        ),
    ),
    SubscriptionDraft(
        name="policy_renewal_due",
        description="Reminds of a renewal; switched off until the letter is approved",
        enabled=False,
        actions=(
            Action(
                type="conditional_email",
                condition="renewal.days_left <= 7 && renewal.automatic == false",
                template="policy_renewal_due",
            ),
        ),
    ),
    SubscriptionDraft(
        name="audit_trail",
        application_id="GHI789",
        event="*",
        description="Keeps every event of one application",
        actions=(Action(type="record"),),
    ),
)


async def make_products(backend: Backend, *, healthy: Broker, refusing: Broker) -> None:
    """A product that works, one whose broker refuses its password, and one without a broker."""
    tyres = await backend.create_product(
        ProductDraft(name="Car tyres", description="Connected; events arrive all the time")
    )
    await backend.save_config(tyres.id, _config(healthy))
    for draft in SUBSCRIPTIONS:
        await backend.create_subscription(tyres.id, draft)

    travel = await backend.create_product(
        ProductDraft(name="Travel insurance", description="Its broker refuses the password")
    )
    await backend.save_config(
        travel.id, _config(refusing, username="travel-bre", password=SecretStr("last-year"))
    )
    await backend.create_subscription(travel.id, SUBSCRIPTIONS[0])

    await backend.create_product(
        ProductDraft(name="Device protection", description="Waits for its broker settings")
    )


def _config(
    broker: Broker, *, username: str | None = None, password: SecretStr | None = None
) -> ConfigDraft:
    return ConfigDraft(
        broker=BrokerConfig(
            host=broker.host, port=broker.port, username=username, password=password
        ),
        topics=TopicsConfig(use_shared=broker.sharing),
    )
