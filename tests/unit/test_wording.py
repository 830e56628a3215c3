"""Fields by the name they have where somebody reads of them."""

import pytest

from cortex_tui.diagnosis import Diagnosis, Outcome, Stage, StageResult
from cortex_tui.models import BrokerConfig, TopicsConfig
from cortex_tui.screens.config import BROKER_FIELDS, TOPICS_FIELDS
from cortex_tui.screens.editors import SUBSCRIPTION_FIELDS
from cortex_tui.wording import LABELS, worded, worded_result


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("Turn off use_tls, or use another port", "Turn off TLS, or use another port"),
        ("Give client_cert and client_key", "Give Client cert and Client key"),
        ("Give the certificate as ca_cert.", "Give the certificate as CA certificate."),
        ("ca_cert: it is no certificate", "CA certificate: it is no certificate"),
        ("Check username, password and host", "Check username, password and host"),
        ("a file my_ca_cert.pem, or ca_cert.pem", "a file my_ca_cert.pem, or ca_cert.pem"),
        ("broker.use_tls and some_other", "broker.use_tls and some_other"),
        ("plant/client_id/state is refused", "plant/client_id/state is refused"),
        ("/etc/tls/ca_cert: no such file", "/etc/tls/ca_cert: no such file"),
        ("there is no product 'client_id'", "there is no product 'client_id'"),
        ("“use_tls” is no topic", "“use_tls” is no topic"),
        ("client_id-7 is taken", "client_id-7 is taken"),
        ("Turn it on (use_tls); see ca_cert", "Turn it on (TLS); see CA certificate"),
    ],
)
def test_fields_have_their_labels(text: str, reads: str) -> None:
    assert worded(text) == reads


def test_every_field_of_the_forms_has_its_label_here() -> None:
    configured = [each.name for each in (*BROKER_FIELDS, *TOPICS_FIELDS)]
    assert list(LABELS) == [*configured, "application_id"]
    assert set(configured) == {*BrokerConfig.model_fields, *TopicsConfig.model_fields}
    assert "application_id" in {each.name for each in SUBSCRIPTION_FIELDS}
    for field in (*BROKER_FIELDS, *TOPICS_FIELDS, *SUBSCRIPTION_FIELDS):
        assert LABELS.get(field.name, field.label) == field.label


def test_a_result_is_worded_where_it_advises_and_nowhere_else() -> None:
    told = Diagnosis(
        status="error",
        connected=False,
        error="use_tls",
        details="Turn on use_tls",
        stages=(
            StageResult(stage=Stage.DNS, outcome=Outcome.OK, seen="use_tls"),
            StageResult(stage=Stage.TLS, outcome=Outcome.FAILED, cause="c", advice="Give ca_cert"),
        ),
        warnings=("turn on use_tls",),
    )
    named = worded_result(told, {"use_tls": "TLS", "ca_cert": "--ca-file"})
    assert isinstance(named, Diagnosis)
    assert (named.error, named.details, named.warnings) == (
        "use_tls",
        "Turn on TLS",
        ("turn on TLS",),
    )
    assert (named.stages[0].seen, named.stages[1].advice) == ("use_tls", "Give --ca-file")
    assert named.stages[0].advice is None
