"""In what two configurations differ."""

from cortex_tui.differences import Difference, differences
from cortex_tui.models import ConfigDraft


def draft(**broker: object) -> ConfigDraft:
    return ConfigDraft.model_validate({"broker": {"host": "localhost", **broker}, "topics": {}})


def test_equal_ones_do_not_differ() -> None:
    assert differences(draft(), draft()) == []


def test_every_field_that_differs_is_named_with_both_values() -> None:
    one = draft(port=1884, use_tls=True, username="alice")
    other = ConfigDraft.model_validate(
        {"broker": {"host": "localhost"}, "topics": {"shared_group": "other"}}
    )
    assert differences(one, other) == [
        Difference("port", "1884", "1883"),
        Difference("use_tls", "on", "off"),
        Difference("username", "alice", "none"),
        Difference("shared_group", "bre", "other"),
    ]


def test_a_password_never_shows() -> None:
    one = draft(username="alice", password="hunter2")
    kept = draft(username="alice", password="***")
    assert differences(one, kept) == [Difference("password", "new", "kept")]
    assert differences(kept, draft(username="alice")) == []


def test_certificates_are_told_apart_and_a_key_never_shows() -> None:
    pem = "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n"
    one = draft(
        ca_cert=pem.format("CERTIFICATE", "AAAA"),
        client_cert=pem.format("CERTIFICATE", "CCCC"),
        client_key=pem.format("PRIVATE KEY", "hunter2"),
    )
    other = draft(
        ca_cert=pem.format("CERTIFICATE", "BBBB"), client_cert=pem.format("CERTIFICATE", "CCCC")
    )
    ca_cert, client_key = differences(one, other)
    assert ca_cert.field == "ca_cert"
    assert ca_cert.one.startswith("PEM ")
    assert ca_cert.one != ca_cert.other
    assert client_key == Difference("client_key", "new", "kept")
