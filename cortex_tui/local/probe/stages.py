"""The stages of a connection test, one method each."""

import secrets
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from cortex_tui import certificates, syntax
from cortex_tui.diagnosis import Certificate, FilterGrant, Grants, RoundTrip, Stage, printable
from cortex_tui.local import tls
from cortex_tui.local.causes import Cause, about_dates, explain, only_untrusted
from cortex_tui.local.probe.clock import Clock
from cortex_tui.local.probe.dial import Address, Unreached, connect, resolve
from cortex_tui.local.probe.ladder import Failed, Ladder
from cortex_tui.local.probe.look import look_again
from cortex_tui.local.probe.packets import (
    FAILURE,
    UNSUPPORTED_VERSION,
    V5,
    V311,
    Answer,
    NotMqtt,
    Property,
)
from cortex_tui.local.probe.session import Dropped, Refused, Session
from cortex_tui.local.probe.wire import Wire
from cortex_tui.local.reasons import reason_name
from cortex_tui.models import ConnectionTest

T = TypeVar("T")

_PATIENCE = 0.25
"""The share of the time after which a second look is taken at a port that is silent."""

_SECOND_LOOK = 0.3
"""The share of the time for that look. The silent port may still answer afterwards."""

_ROUND_TRIP = 0.4
"""The share of the remaining time each attempt at a round trip gets; there may be two."""

_FAREWELL = 1.0
"""Seconds to learn what the broker runs and to say goodbye."""

_SHARE = "$share/"
_LONGEST, _ENDING = 60, 20
"""Characters of a client id that are told, and those of them from its end."""


class Climb:
    """One test from the first stage to the last, and all it saw."""

    def __init__(
        self, test: ConnectionTest, clock: Clock, ladder: Ladder, opened: ExitStack
    ) -> None:
        self._test = test
        self._clock = clock
        self._limit = clock.remaining
        self._ladder = ladder
        self._opened = opened
        self._client_id = _own_client_id(test)
        self.address: Address | None = None
        self.certificates: tuple[Certificate, ...] = ()
        self.untrusted: Certificate | None = None
        self.grants: Grants | None = None
        self.filters: tuple[FilterGrant, ...] = ()
        self.round_trips: tuple[RoundTrip, ...] = ()
        self.latency_ms: int | None = None

    def run(self) -> None:
        """Climb as far as it goes. Raises `Failed`, `Cancelled`."""
        started = time.monotonic()
        wire = self._reach(self._look_up())
        self._secure(wire)
        session = self._connect(wire)
        self.latency_ms = round((time.monotonic() - started) * 1000)
        self._subscribe(session)
        self._round_trip(session)
        self._part(session)

    # -- DNS, TCP, TLS ------------------------------------------------------------------------

    def _look_up(self) -> list[Address]:
        with self._ladder.stage(Stage.DNS) as seen:
            addresses = resolve(syntax.host(self._test.host), self._test.port, self._clock)
            seen += [address.ip for address in addresses]
            return addresses

    def _reach(self, addresses: list[Address]) -> Wire:
        with self._ladder.stage(Stage.TCP) as seen:
            try:
                connected, self.address, failures = connect(addresses, self._clock)
            except Unreached as unreached:
                seen += [f"{address.ip}: {_words(e)}" for address, e in unreached.failures.items()]
                raise unreached.telling from None
            seen.append(f"{self.address.ip} answered")
            seen += [f"{address.ip}: {_words(e)}" for address, e in failures.items()]
            return self._opened.enter_context(Wire(connected))

    def _secure(self, wire: Wire) -> None:
        if not self._test.use_tls:
            self._ladder.skip(Stage.TLS, "off")
            return
        with self._ladder.stage(Stage.TLS) as seen:
            context = tls.context(self._test)
            try:
                wire.secure(context, tls.server_name(self._test))
                self._patiently(wire.handshake, Stage.TLS)
            except ssl.SSLCertVerificationError as error:
                now = datetime.now(UTC)
                with suppress(OSError), self._dial(self._clock, secure=True) as unverified:
                    self._read_chain(unverified, now)
                if self.certificates and only_untrusted(error):
                    self.untrusted = self.certificates[-1]
                seen.extend(_written(self.certificates))
                if about_dates(error):
                    seen.append(f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC")
                raise Failed(explain(error, self._test, chain=self.certificates)) from None
            except OSError as error:
                raise self._better(error, Stage.TLS) from None
            self._read_chain(wire, datetime.now(UTC))
            seen += [wire.tls, *_written(self.certificates)]

    def _read_chain(self, wire: Wire, now: datetime) -> None:
        """Every certificate that can be read; a broken one is passed over."""

        def readable() -> Iterator[Certificate]:
            for data in wire.certificate_chain():
                with suppress(ValueError):
                    yield certificates.read_der(data, now)

        self.certificates = tuple(readable())

    # -- CONNECT ------------------------------------------------------------------------------

    def _connect(self, wire: Wire) -> Session:
        with self._ladder.stage(Stage.CONNECT) as seen:
            seen.append(f"as client id {_shortened(self._client_id)}")
            try:
                session, answer = self._greet(wire)
            except (OSError, NotMqtt) as error:
                raise self._better(error, Stage.CONNECT) from None
            if answer.reasons[0]:
                raise Failed(self._refusal(answer))
            self.grants = _grants(session.version, answer)
            seen.append(f"MQTT {self.grants.version}")
            return session

    def _greet(self, wire: Wire) -> tuple[Session, Answer]:
        """MQTT 5 first; 3.1.1 where the broker refuses that, or breaks off without a word as
        some old ones do."""
        try:
            session, answer = self._speak(wire, V5)
            if answer.reasons[0] != UNSUPPORTED_VERSION:
                return session, answer
        except ConnectionError as error:
            with suppress(OSError, NotMqtt):
                return self._greet_again()
            raise error
        return self._greet_again()

    def _greet_again(self) -> tuple[Session, Answer]:
        secure, verify = self._test.use_tls, self._test.verify_cert
        wire = self._opened.enter_context(self._dial(self._clock, secure=secure, verify=verify))
        return self._speak(wire, V311)

    def _speak(self, wire: Wire, version: int) -> tuple[Session, Answer]:
        session = Session(wire, version, self._client_id)
        password = self._test.password.get_secret_value() if self._test.password else None
        session.connect(self._test.username, password, self._clock)
        return session, self._patiently(session.connected, Stage.CONNECT)

    def _refusal(self, answer: Answer) -> Cause:
        cause = explain(answer.reasons[0], self._test)
        if words := answer.properties.get(Property.REASON_STRING):
            cause = replace(cause, message=f"{cause.message} ({printable(str(words))})")
        if server := answer.properties.get(Property.SERVER_REFERENCE):
            cause = replace(cause, advice=f"The broker names another one: {printable(str(server))}")
        return cause

    # -- SUBSCRIBE and the round trip ---------------------------------------------------------

    def _subscribe(self, session: Session) -> None:
        if not self._test.filters:
            self._ladder.skip(Stage.SUBSCRIBE, "no filters given")
            return
        with self._ladder.stage(Stage.SUBSCRIBE) as seen:
            asked = {self._in_own_group(given): given for given in self._test.filters}
            answers: dict[str, Answer] = {}
            try:
                session.subscribe(tuple(asked), self._clock, answers)
            except Dropped as dropped:
                raise Failed(self._dropped(dropped, Stage.SUBSCRIBE)) from None
            finally:
                self.filters = tuple(
                    _grant(given, answers.get(sent)) for sent, given in asked.items()
                )
                granted = sum(grant.granted_qos is not None for grant in self.filters)
                seen.append(f"{granted} of {len(self.filters)} filters granted")
            for sent, given in asked.items():
                if (reason := answers[sent].reasons[0]) >= FAILURE:
                    raise Failed(self._refused_filter(reason, given, Stage.SUBSCRIBE))

    def _in_own_group(self, topic_filter: str) -> str:
        """A shared filter, in a group of the test's own: in the product's group it would take
        events away from it."""
        if not topic_filter.startswith(_SHARE):
            return topic_filter
        _, _, bare = topic_filter.removeprefix(_SHARE).partition("/")
        return f"{_SHARE}{self._client_id}/{bare}"

    def _round_trip(self, session: Session) -> None:
        topic = self._test.round_trip_topic
        if topic is None:
            self._ladder.skip(Stage.ROUND_TRIP, "not asked for")
            return
        shared = any(given.startswith(_SHARE) for given in self._test.filters)
        with self._ladder.stage(Stage.ROUND_TRIP) as seen:
            try:
                self.round_trips = self._publish(session, topic, shared=shared)
                seen += [_told(trip) for trip in self.round_trips]
                if all(trip.ms is not None for trip in self.round_trips):
                    return
                if shared and any(
                    trip.ms is not None for trip in self._publish(session, topic, shared=False)
                ):
                    raise Failed(_SILENT_SHARING)
            except Dropped as dropped:
                raise Failed(self._dropped(dropped, Stage.ROUND_TRIP)) from None
            raise TimeoutError

    def _publish(self, session: Session, topic: str, *, shared: bool) -> tuple[RoundTrip, ...]:
        """Subscribe to the topic, publish at every QoS the broker takes, and see what returns."""
        clock = self._clock.at_most(self._clock.remaining * _ROUND_TRIP)
        topic_filter = f"{_SHARE}{self._client_id}/{topic}" if shared else topic
        answers: dict[str, Answer] = {}
        session.subscribe((topic_filter,), clock, answers)
        if (reason := answers[topic_filter].reasons[0]) >= FAILURE:
            raise Failed(self._refused_filter(reason, topic_filter, Stage.ROUND_TRIP))
        max_qos = 2 if self.grants is None or self.grants.max_qos is None else self.grants.max_qos
        token = secrets.token_hex(8)
        trips = []
        for qos in range(max_qos + 1):
            share = clock.at_most(clock.remaining / (max_qos + 1 - qos))
            payload = f"cortex test {token} QoS {qos}".encode()
            try:
                took = session.round_trip(topic, payload, qos, share)
                trips.append(RoundTrip(qos=qos, ms=round(took * 1000)))
            except TimeoutError:
                trips.append(RoundTrip(qos=qos))
            except Refused as refused:
                message = f"The broker takes no message on {topic}: {reason_name(refused.reason)}"
                advice = "This user may not publish there: choose another topic"
                raise Failed(Cause(Stage.ROUND_TRIP, message, advice)) from None
        return tuple(trips)

    def _part(self, session: Session) -> None:
        """What the broker runs, where it tells, and goodbye; neither can fail the test."""
        clock = self._clock.at_most(_FAREWELL)
        with suppress(OSError, NotMqtt, Dropped):
            if (software := session.software(clock)) and self.grants is not None:
                self.grants = self.grants.model_copy(update={"software": printable(software)})
            session.close(clock)

    # -- what they share ----------------------------------------------------------------------

    def _patiently(self, answer: Callable[[Clock], T], stage: Stage) -> T:
        """The answer, however long it takes; after a while of silence it is worth a second look
        whether anything but a slow broker keeps us waiting."""
        try:
            return answer(self._clock.at_most(self._limit * _PATIENCE))
        except TimeoutError as silence:
            if cause := self._look_again(silence, stage):
                raise Failed(cause) from None
        return answer(self._clock)

    def _better(self, problem: Exception, stage: Stage) -> Failed:
        """The failure of a stage, with the best cause there is."""
        seen = None if isinstance(problem, TimeoutError) else self._look_again(problem, stage)
        return Failed(seen or explain(problem, self._test, stage))

    def _look_again(self, problem: Exception, stage: Stage) -> Cause | None:
        clock = self._clock.at_most(self._limit * _SECOND_LOOK)
        return look_again(problem, self._test, stage, self._dial, clock)

    def _dial(self, clock: Clock, *, secure: bool, verify: bool = False) -> Wire:
        """Another connection to the address that answered."""
        try:
            connected, _, _ = connect([address for address in (self.address,) if address], clock)
        except Unreached as unreached:
            raise unreached.telling from None
        wire = Wire(connected)
        try:
            if secure:
                context = tls.context(self._test, verify=verify)
                wire.secure(context, tls.server_name(self._test))
                wire.handshake(clock)
        except BaseException:
            wire.close()
            raise
        return wire

    def _dropped(self, dropped: Dropped, stage: Stage) -> Cause:
        cause = explain(dropped.answer.reasons[0], self._test, Stage.SUBSCRIBE)
        message = f"The broker ended the session: {cause.message}"
        return replace(cause, stage=stage, message=message)

    def _refused_filter(self, reason: int, topic_filter: str, stage: Stage) -> Cause:
        cause = explain(reason, self._test, Stage.SUBSCRIBE)
        return replace(cause, stage=stage, message=f"{topic_filter} was refused: {cause.message}")


_SILENT_SHARING = Cause(
    Stage.ROUND_TRIP,
    "The broker grants shared subscriptions and delivers nothing to them",
    "Turn off use_shared, or use a broker that implements sharing",
    field="use_shared",
)


def _own_client_id(test: ConnectionTest) -> str:
    """Never the one that was given, which may be connected: it would be thrown out. One made from
    it passes where a broker judges by how it begins."""
    token = secrets.token_hex(5)
    return f"{test.client_id}-test-{token}" if test.client_id else f"cortextest{token}"


def _shortened(client_id: str) -> str:
    """A client id with its start and its end, which tells it from the given one."""
    if len(client_id) <= _LONGEST:
        return client_id
    return f"{client_id[: _LONGEST - _ENDING - 1]}…{client_id[-_ENDING:]}"


def _words(failure: OSError) -> str:
    if isinstance(failure, TimeoutError):
        return "no answer"
    return (failure.strerror or type(failure).__name__).lower()


def _written(chain: tuple[Certificate, ...]) -> list[str]:
    return [f"certificate {certificate.subject}" for certificate in chain[:1]]


def _told(trip: RoundTrip) -> str:
    return f"QoS {trip.qos} " + ("did not come back" if trip.ms is None else f"in {trip.ms} ms")


def _grant(topic_filter: str, answer: Answer | None) -> FilterGrant:
    if answer is None:
        return FilterGrant(filter=topic_filter, reason="No answer")
    reason = answer.reasons[0]
    if reason >= FAILURE:
        return FilterGrant(filter=topic_filter, reason=reason_name(reason))
    return FilterGrant(filter=topic_filter, granted_qos=reason)


def _grants(version: int, answer: Answer) -> Grants:
    """What a CONNACK grants, with the defaults MQTT 5 §3.2.2.3 gives to what it leaves out."""
    if version == V311:
        return Grants(version="3.1.1")

    def number(identifier: Property) -> int | None:
        value = answer.properties.get(identifier)
        return value if isinstance(value, int) else None

    def allowed(identifier: Property) -> bool:
        return number(identifier) != 0

    max_qos = number(Property.MAX_QOS)
    assigned = answer.properties.get(Property.ASSIGNED_CLIENT_ID)
    return Grants(
        version="5.0",
        max_qos=2 if max_qos is None else max_qos,
        retain=allowed(Property.RETAIN_AVAILABLE),
        wildcard_subscriptions=allowed(Property.WILDCARD_AVAILABLE),
        shared_subscriptions=allowed(Property.SHARED_AVAILABLE),
        receive_maximum=number(Property.RECEIVE_MAXIMUM) or 65_535,
        max_packet_bytes=number(Property.MAX_PACKET_SIZE),
        keep_alive=number(Property.SERVER_KEEP_ALIVE),
        session_expiry=number(Property.SESSION_EXPIRY),
        assigned_client_id=printable(str(assigned)) if assigned else None,
    )
