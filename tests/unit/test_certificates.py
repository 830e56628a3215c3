"""What is read in a certificate."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cortex_tui import certificates
from tests.certificates import Authority

NOW = datetime.now(UTC)


def test_an_authority_and_what_it_issued(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.server("broker", names=("mqtt.example", "10.0.0.7"), days=(-1, 30))
    text = server.cert.read_text() + authority.cert.read_text()

    leaf, root = certificates.read_pem(text, NOW)

    assert (leaf.subject, leaf.issuer) == ("CN=broker", "CN=Cortex Test Authority")
    assert leaf.names == ("mqtt.example", "10.0.0.7")
    assert leaf.fingerprint.replace(":", "").lower() == server.fingerprint
    assert (leaf.is_authority, root.is_authority) == (False, True)
    assert leaf.pem.strip() == server.cert.read_text().strip()


@pytest.mark.parametrize(("later", "days_left"), [(0, 30), (30, 0), (31, -1)])
def test_days_left(tmp_path: Path, later: int, days_left: int) -> None:
    server = Authority(tmp_path).server("broker", days=(-1, 30.5))
    now = NOW + timedelta(days=later)
    (leaf,) = certificates.read_pem(server.cert.read_text(), now)
    assert leaf.days_left == days_left


def test_a_subject_is_inert(tmp_path: Path) -> None:
    server = Authority(tmp_path).server("red \x1b[31m" + "x" * 40)
    (leaf,) = certificates.read_pem(server.cert.read_text(), NOW)
    assert leaf.subject.isprintable()


@pytest.mark.parametrize("text", ["", "tea", "-----BEGIN CERTIFICATE-----\nnope"])
def test_what_is_no_certificate(text: str) -> None:
    with pytest.raises(ValueError, match="no certificate in PEM form"):
        certificates.read_pem(text, NOW)
    with pytest.raises(ValueError, match="no certificate"):
        certificates.read_der(text.encode(), NOW)


@pytest.mark.parametrize(
    ("good", "broken", "is_read"),
    [
        (b"\x55\x1d\x25", b"\x55\x1d\x11", True),
        (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", False),
    ],
    ids=["an extension twice", "a version that is none"],
)
def test_a_certificate_against_the_rules(
    tmp_path: Path, good: bytes, broken: bytes, is_read: bool
) -> None:
    sound = ssl.PEM_cert_to_DER_cert(Authority(tmp_path).server("broker").cert.read_text())
    data = sound.replace(good, broken)
    assert data != sound
    text = ssl.DER_cert_to_PEM_cert(data)
    if is_read:
        (read,) = certificates.read_pem(text, NOW)
        assert (read, read.subject) == (certificates.read_der(data, NOW), "CN=broker")
    else:
        with pytest.raises(ValueError, match="no certificate"):
            certificates.read_pem(text, NOW)
        with pytest.raises(ValueError, match="no certificate"):
            certificates.read_der(data, NOW)
