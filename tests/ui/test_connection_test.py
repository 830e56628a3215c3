"""The connection test as a person sees it, and the trust it may lead to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cortex_tui.backend import Backend
from cortex_tui.demo.broker import Broker, Mosquitto
from cortex_tui.local.backend import LocalBackend
from cortex_tui.models import Product, ProductDraft, TopicsConfig
from cortex_tui.remote import RemoteBackend
from cortex_tui.server import create_app, serving
from cortex_tui.settings import Target
from tests.brokers import ANONYMOUS, StartMosquitto, tls
from tests.certificates import Authority
from tests.counterparts import StartCounterpart, says, silent
from tests.orchestrators import configured, connected, draft
from tests.ui.conftest import Orchestrator
from tests.ui.driving import WIDE, before
from tests.ui.test_product import EVERY, enter, in_field, product_of, to
from tests.waiting import until


@pytest.fixture
def secured(start_mosquitto: StartMosquitto, authority: Authority, tmp_path: Path) -> Mosquitto:
    """A broker whose certificate comes with that of an authority nobody knows."""
    identity = authority.server("secured")
    chain = tmp_path / "chain.pem"
    chain.write_text(identity.cert.read_text() + authority.cert.read_text())
    return start_mosquitto(*ANONYMOUS, f"certfile {chain}", f"keyfile {identity.key}")


def halves(fingerprint: str) -> tuple[str, str]:
    return ":".join(fingerprint.split(":")[:16]), ":".join(fingerprint.split(":")[16:])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to be in, so that paths are short to type."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(here: Path, name: str, file: Path) -> str:
    (here / name).write_text(file.read_text())
    return name


def lines_of(text: str) -> list[str]:
    """The keys that `text` is typed with."""
    return ["enter" if character == "\n" else character for character in text]


# -- the ladder -------------------------------------------------------------------------------


async def test_stages_are_shown_as_they_end(
    embedded: Orchestrator, counterpart: StartCounterpart, broker: Broker
) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await to(person, "Port")
        await person.fill(str(counterpart(silent)))
        await person.press("f4")
        await person.sees("Connecting beside the running connection")
        await person.sees("✓ DNS", "127.0.0.1")
        await person.sees("✓ TCP", "answered")
        await person.sees("… CONNECT")
        await person.press("y")
        await person.sees("There is nothing to copy")


async def test_a_test_where_nothing_runs_is_beside_nothing(
    embedded: Orchestrator, counterpart: StartCounterpart
) -> None:
    await embedded.inside.create_product(ProductDraft(name="Tyres"))
    async with before(embedded.open) as person:
        await enter(person)
        await person.type("127.0.0.1")
        await to(person, "Port")
        await person.fill(str(counterpart(silent)))
        await person.press("f4")
        await person.sees("… Connecting, for a test only.")


async def test_what_was_to_be_corrected_is_said_no_more(
    embedded: Orchestrator, broker: Broker
) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await to(person, "Port")
        await person.fill("x")
        await person.press("f2")
        await person.sees("One value needs correcting")
        await person.press("f1")
        await person.sees("Help")
        await person.sees_no("needs correcting")
        await person.press("escape", "f4")
        await person.sees("One value needs correcting")
        await person.fill(str(broker.port))
        await person.press("f4")
        await person.sees("✓ Connected")
        await person.sees_no("needs correcting")


@pytest.mark.parametrize("size", [(80, 24), WIDE])
async def test_a_failure_has_its_cause_and_advice_at_its_stage(
    orchestrator: Orchestrator,
    counterpart: StartCounterpart,
    broker: Broker,
    size: tuple[int, int],
) -> None:
    port = counterpart(says(b"SSH-2.0-\x1b[31mOpenSSH\r\n"))
    await product_of(orchestrator, broker)
    async with before(orchestrator.open, size=size) as person:
        await enter(person)
        await to(person, "Port")
        await person.fill(str(port))
        await person.press("f4")
        await person.sees("✗ CONNECT", "as client id")
        await person.press("p")
        await person.sees("Round trip: The test did not get as far as that.")
        await person.sees("is an SSH server (SSH-2.0-")
        await person.sees("→ Use the broker's MQTT port")
        await person.press("y")
        await person.sees("Sent to the terminal")
        copied = person.app.clipboard
        assert copied.startswith(f"Test of {broker.host}:{port}  without a user name, 20")
        assert "is an SSH server" in copied
        assert "Use the broker's MQTT port" in copied
        assert "\x1b" not in copied


async def test_a_failure_marks_its_field_and_leaves_keys_what_they_mean(
    embedded: Orchestrator, broker: Broker
) -> None:
    await configured(embedded.inside, draft(broker, port=1), EVERY)
    async with before(embedded.open) as person:
        await person.sees("▸")
        await person.press("enter")
        await person.sees("Clean session")
        await person.press("f4")
        await person.sees("✗ TCP: 127.0.0.1:1 refused the connection")
        await person.press("escape")
        await person.sees_below("Port", "✗ 127.0.0.1:1 refused")
        await person.press("3")
        await person.sees("▸ ● on", "audit")
        await person.press("1", "enter", "end", "2", "f4")  # now out of a field
        await person.sees("✗ TCP: 127.0.0.1:12 refused the connection")
        await person.press("escape", "9")
        await person.sees("• Port", " 9 ")


async def test_a_success_shows_what_the_broker_grants(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    await product_of(orchestrator, broker)
    async with before(orchestrator.open, size=(100, 44)) as person:
        await enter(person)
        await person.press("f4")
        await person.sees("✓ Connected in", "ms")
        await person.sees("✓ SUBSCRIBE", "1 of 1 filters granted")
        await person.sees("✓ up to QoS 2", "$share/bre//v3/applications/ABC123/business-events")
        await person.sees("highest QoS", "2")
        await person.sees("software", "mosquitto version")
        await person.sees("· ROUND TRIP", "not asked for")


async def test_a_round_trip_on_a_topic_that_the_person_confirms(
    orchestrator: Orchestrator, start_mosquitto: StartMosquitto
) -> None:
    broker = start_mosquitto(*ANONYMOUS)
    await configured(orchestrator.inside, draft(broker))
    async with before(orchestrator.open, size=(100, 44)) as person:
        await enter(person)
        await person.press("f4")
        await person.sees("✓ Connected")
        await person.press("p")
        await person.sees("Topic", "cortex-test/business-events")
        await person.sees("Whoever listens there gets it too")
        await person.sees("F2 Publish")
        await person.fill("a/+")
        await person.press("f2")
        await person.sees("contains a wildcard")
        await person.fill("a/b")
        await person.press("f2")
        await person.sees("✓ ROUND TRIP")
        for qos in range(3):
            await person.sees(f"✓ QoS {qos}", "back in", "ms")
        assert broker.log.count("'a/b'") >= 3
        await person.press("r")
        await person.sees("· ROUND TRIP", "not asked for")


async def test_read_only_publishes_nothing(embedded: Orchestrator, broker: Broker) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open, read_only=True) as person:
        await enter(person)
        await person.press("f4")
        await person.sees("✓ Connected")
        await person.press("p")
        await person.sees("This context is read-only.")


async def test_nothing_to_trust_says_why(embedded: Orchestrator, broker: Broker) -> None:
    await product_of(embedded, broker)
    async with before(embedded.open) as person:
        await enter(person)
        await person.press("f4")
        await person.sees("✓ Connected")
        await person.press("t")
        await person.sees("no unknown issuer was met")


# -- trust ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), WIDE])
async def test_an_unknown_authority_can_be_trusted_after_a_look_at_its_fingerprint(
    orchestrator: Orchestrator, secured: Mosquitto, authority: Authority, size: tuple[int, int]
) -> None:
    config = draft(secured, host="localhost", use_tls=True)
    product = await configured(orchestrator.inside, config, EVERY)
    first, second = halves(authority.fingerprint)
    async with before(orchestrator.open, size=size) as person:
        await enter(person)
        await person.press("f4")
        await person.sees("issued by an authority this machine does")
        await person.press("t")
        await person.sees("Trust this certificate authority?")
        await person.sees("CN=Cortex Test Authority, issued by itself")
        await person.sees(first)
        await person.sees(second)
        await person.press("n")
        await person.sees_no("Trust this")
        await person.press("t", "y")
        await person.sees("✓ Connected")
        assert await stored_ca(orchestrator, product) is None
        await person.press("escape")
        await person.sees("CA certificate", "CN=Cortex Test Authority")
        await person.sees("1 Broker •")
        await person.press("f3")
        await person.sees("● connected")
        assert await stored_ca(orchestrator, product) == authority.cert.read_text()


async def test_a_certificate_without_an_authority_is_trusted_alone(
    embedded: Orchestrator, start_mosquitto: StartMosquitto, authority: Authority
) -> None:
    identity = authority.server("alone")
    broker = start_mosquitto(*ANONYMOUS, *tls(identity))
    await configured(embedded.inside, draft(broker, host="localhost", use_tls=True))
    async with before(embedded.open) as person:
        await enter(person)
        await person.press("f4")
        await person.sees("issued by an authority this machine does")
        await person.press("t")
        await person.sees("Trust this certificate, and no other?")
        await person.press("y")
        await person.sees("✓ Connected")


async def stored_ca(orchestrator: Orchestrator, product: Product) -> str | None:
    config = (await orchestrator.inside.config(product.id)).mqtt_config
    assert config is not None
    return config.broker.ca_cert


# -- certificates and keys in the form --------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), WIDE])
async def test_certificates_are_given_as_paths_or_pasted(
    orchestrator: Orchestrator,
    start_mosquitto: StartMosquitto,
    authority: Authority,
    size: tuple[int, int],
    here: Path,
) -> None:
    alice = authority.client("alice-in-the-form", days=(-1, 20))
    server = authority.server("asking")
    broker = start_mosquitto(*ANONYMOUS, *tls(server, clients=authority))
    config = draft(broker, host="localhost", use_tls=True)
    product = await configured(orchestrator.inside, config, EVERY)
    async with before(orchestrator.open, size=size) as person:
        await enter(person)
        await to(person, "CA certificate")
        await person.type("no.pem")
        await person.sees("✗ no.pem cannot be read (No such file or directory): check")
        await person.fill(put(here, "ca.pem", authority.cert))
        await person.sees("CA certificate", "89 days left")
        await person.sees("Authority CN=Cortex Test Authority, issued by itself")
        await person.sees(halves(authority.fingerprint)[1])
        await to(person, "Client cert")
        await person.sees_no("Authority CN=")
        await person.paste(alice.cert.read_text().replace("\n", "\r"))
        await person.sees("Client cert", "CN=alice-in-the-form")
        await person.sees("19 days left")
        await to(person, "Client key")
        await person.paste(alice.key.read_text().replace("\n", "\r\n"))
        await person.sees("Client key", "pasted")
        assert "PRIVATE" not in person.screen
        await person.press("f4")
        await person.sees("✓ Connected")
        await person.press("escape")
        await person.press("f3")
        await person.sees("● connected")
        await to(person, "Client key")
        await person.sees("set, unchanged")
        stored = (await orchestrator.inside.config(product.id)).mqtt_config
        assert stored is not None
        assert stored.broker.client_cert == alice.cert.read_text()
        assert stored.broker.client_key is not None


async def test_what_a_terminal_pastes_key_by_key_is_taken_whole(
    embedded: Orchestrator, broker: Broker, authority: Authority
) -> None:
    """Some do not bracket what they paste: it comes as if typed, with Enter for the line ends."""
    alice = authority.client("alice-typed")
    await configured(embedded.inside, draft(broker, use_tls=True))
    async with before(embedded.open) as person:
        await enter(person)
        await to(person, "Client cert")
        chain = alice.cert.read_text() + authority.cert.read_text()
        half = chain.index("-----END")
        person.at_once(*lines_of("Bag Attributes\n    "), *lines_of(chain[:half]))
        await person.sees("✗ the PEM text has no end yet")
        person.at_once(*lines_of(chain[half:].rstrip()), "tab")
        await person.sees("Client cert", "2 of them")
        person.at_once(*lines_of(alice.key.read_text()[:90]))
        await person.sees("Client key", "•••")
        assert "PRIVATE" not in person.screen
        person.at_once("ctrl+u", *lines_of(alice.key.read_text()))
        await person.sees("Client key", "pasted")
        await person.press("f2")
        await person.sees("Saved.")
        [product] = await embedded.inside.products()
        config = (await embedded.inside.config(product.id)).mqtt_config
        assert config is not None
        assert config.broker.client_cert == chain


async def test_a_certificate_that_was_removed_does_not_come_back(
    embedded: Orchestrator, broker: Broker, authority: Authority, here: Path
) -> None:
    other = Authority(here, "Other Authority")
    await configured(embedded.inside, draft(broker, use_tls=True))
    async with before(embedded.open) as person:
        await enter(person)
        await to(person, "CA certificate")
        for remove in (["backspace"], ["shift+tab", "tab", "backspace"]):
            person.at_once(*lines_of(other.cert.read_text().rstrip()))
            await person.sees("CA certificate", "days left")
            person.at_once(*remove)
            await person.sees_no("CA certificate", "days left")
        person.at_once(*lines_of(authority.cert.read_text().rstrip()), "tab", "shift+tab")
        person.at_once(*lines_of(authority.cert.read_text().rstrip()), "f2")
        await person.sees("Saved.")
        [product] = await embedded.inside.products()
        assert await stored_ca(embedded, product) == authority.cert.read_text()


async def test_enter_goes_on_from_a_path_that_can_be_read(
    embedded: Orchestrator, broker: Broker, authority: Authority, here: Path
) -> None:
    await configured(embedded.inside, draft(broker, use_tls=True))
    async with before(embedded.open) as person:
        await enter(person)
        await to(person, "CA certificate")
        await person.type("no.pem")
        await person.press("enter")
        await person.sees("✗ no.pem cannot be read")
        await person.fill(put(here, "ca.pem", authority.cert))
        await person.press("enter")
        await person.sees("CA certificate", "days left")
        await until(lambda: in_field(person) == "Client cert")
        await person.press("enter", "enter")
        await until(lambda: in_field(person) == "Client id")


async def test_a_key_of_another_certificate_is_said_at_the_key(
    orchestrator: Orchestrator, broker: Broker, authority: Authority, here: Path
) -> None:
    await configured(orchestrator.inside, draft(broker, use_tls=True))
    async with before(orchestrator.open) as person:
        await enter(person)
        await to(person, "Client cert")
        await person.type(put(here, "one.crt", authority.client("one").cert))
        await to(person, "Client key")
        await person.type(put(here, "other.key", authority.client("other").key))
        await person.press("f2")
        await person.sees("✗ Client cert and Client key do not belong together")
        await person.fill("/dev/null")
        await person.sees("✗ /dev/null is no file: name one")
        await person.fill("one.crt")
        await person.sees("Client key is no private key in PEM form")


async def test_what_was_stored_can_be_removed(
    embedded: Orchestrator, broker: Broker, authority: Authority
) -> None:
    alice = authority.client("removed")
    config = draft(
        broker,
        use_tls=True,
        ca_cert=authority.cert.read_text(),
        client_cert=alice.cert.read_text(),
        client_key=alice.key.read_text(),
    )
    product = await configured(embedded.inside, config)
    async with before(embedded.open, size=WIDE) as person:
        await enter(person)
        await person.sees("CA certificate", "CN=Cortex Test Authority", "89 days left")
        await to(person, "CA certificate")
        await person.press("delete")
        await person.sees("CA certificate", "will be removed")
        await to(person, "Client cert")
        await person.press("backspace")
        await person.sees("Client key", "will be removed: no cert")
        await person.press("f8")
        await person.sees("(n)")
        await person.press("y")
        await person.sees("CA certificate", "CN=Cortex Test Authority")
        await person.sees("Client key", "set, unchanged")
        await to(person, "CA certificate")
        await person.press("ctrl+u", "f2")
        await person.sees("Saved.")
        stored = (await embedded.inside.config(product.id)).mqtt_config
        assert stored is not None
        assert stored.broker.ca_cert is None
        assert stored.broker.client_cert == alice.cert.read_text()


async def test_what_was_typed_and_erased_removes_nothing(
    embedded: Orchestrator, broker: Broker, authority: Authority
) -> None:
    config = draft(broker, use_tls=True, ca_cert=authority.cert.read_text())
    product = await configured(embedded.inside, config)
    async with before(embedded.open, size=WIDE) as person:
        await enter(person)
        await person.sees("CA certificate", "CN=Cortex Test Authority")
        await to(person, "CA certificate")
        await person.type("no")
        await person.sees("✗ no cannot be read")
        await person.press("backspace", "backspace", "backspace")
        await person.sees("CA certificate", "CN=Cortex Test Authority", "89 days left")
        await person.press("f2")
        await person.sees("Nothing was changed")
        await person.press("delete")
        await person.sees("CA certificate", "will be removed")
        assert await stored_ca(embedded, product) == authority.cert.read_text()


async def test_without_tls_they_are_out_of_the_way(embedded: Orchestrator, broker: Broker) -> None:
    await configured(embedded.inside, draft(broker))
    async with before(embedded.open) as person:
        await enter(person)
        assert not person.line("CA certificate")
        await to(person, "TLS")
        await person.press("space")
        await person.sees("CA certificate")


# -- an orchestrator that knows only the reference --------------------------------------------


@dataclass
class Documented:
    """The application's way to an orchestrator with the documented endpoints only."""

    url: str
    product: Product

    async def open(self, _: Target) -> Backend:
        return await RemoteBackend.open(self.url, product_ids=[self.product.id])


@pytest.fixture
async def documented(local: LocalBackend, broker: Broker) -> AsyncIterator[Documented]:
    product = await connected(local, draft(broker, topics=TopicsConfig(use_shared=False)), EVERY)
    async with serving(create_app(local, extensions=False), port=0) as url:
        yield Documented(url, product)


async def test_the_documented_answer_is_all_there_is_to_show(documented: Documented) -> None:
    async with before(documented.open) as person:
        await enter(person)
        await person.press("f4")
        await person.sees("✓ Connected in", "ms")
        await person.sees("Connected successfully")
        assert not person.line("DNS")
        await person.press("escape")
        await to(person, "Port")
        await person.fill("1")
        await person.press("f4")
        await person.sees("✗ Connection failed at TCP")
        await person.sees(":1 refused the connection. Nothing listens")
        await person.press("t")
        await person.sees("no unknown issuer was met")


async def test_certificates_are_not_taken_and_it_says_so(documented: Documented) -> None:
    async with before(documented.open, size=WIDE) as person:
        await enter(person)
        await to(person, "TLS")
        await person.press("space")
        await person.sees("CA certificate", "not at this orchestrator")
        await person.press("tab")  # Verify
        await person.press("tab")
        focused = person.app.focused
        assert focused is not None
        await person.type("alice")
        await person.sees("User name", "alice")
