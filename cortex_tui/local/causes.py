"""Why a connection failed, in words: an exception or a reason code → its cause and advice.

Pure. The connection test and the live connection explain themselves with the same sentences. A
message names what happened, the advice is one line on what to change, and neither holds a secret.
"""

import errno
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from cortex_tui.diagnosis import Certificate, Stage, printable
from cortex_tui.local.reasons import DOCUMENTED_CODES, reason_words
from cortex_tui.models import BrokerAccess


@dataclass(frozen=True)
class Cause:
    """Why an attempt failed."""

    stage: Stage
    message: str
    advice: str = ""
    latch: bool = False
    """A retry would only repeat the failure, or make it worse; a person has to act."""
    field: str | None = None
    """The field of the configuration to look at first, where the cause may be in one."""
    code: int | None = None
    """The result code of the reference's table (§3); none before CONNACK."""

    @property
    def headline(self) -> str:
        """The message, with the code where there is one: the `connection_error` of §7."""
        return self.message if self.code is None else f"{self.message} (code {self.code})"

    @property
    def error(self) -> str:
        """The documented `error`: the code, or the stage where there is none."""
        if self.code is not None:
            return f"Connection failed with code {self.code}"
        if self.stage in (Stage.SUBSCRIBE, Stage.ROUND_TRIP):
            return f"Connected, but failed at {self.stage}"
        return f"Connection failed at {self.stage}"

    @property
    def text(self) -> str:
        """The documented `details`: cause and advice in one line."""
        return f"{self.message}. {self.advice}" if self.advice else self.message


_KEEP_ALIVE_TIMEOUT = 141


class PeerClosed(ConnectionError):
    """The other side closed the connection in good order, where an answer was due."""


class Unfinished(TimeoutError):
    """The other side began an answer, and did not finish it in time."""


_REASON_FIELDS = {133: "client_id", 134: "password", 135: "password", 142: "client_id"}
"""The field to look at, by reason code (MQTT 5 §2.4)."""

_FILTER_FIELDS = {
    128: "pattern", 135: "pattern", 143: "pattern", 155: "qos", 158: "use_shared", 162: "pattern",
}  # fmt: skip
"""The same for a filter that was refused. What a subscription has for a topic of its own is in no
field of the configuration, though: whoever knows the subscriptions has to look."""


def explain(
    problem: BaseException | int,
    broker: BrokerAccess,
    stage: Stage | None = None,
    *,
    chain: Sequence[Certificate] = (),
) -> Cause:
    """Why connecting to `broker` failed.

    `problem` is what `socket`, `ssl` or paho's `connect` raised, or the MQTT 5 reason code of a
    CONNACK or DISCONNECT (paho's `ReasonCode.value`; it translates the codes of 3.1.1). `stage` is
    where it happened, for exceptions that do not tell by their kind: a connection that is reset,
    closed or silent means something else during each. `chain` is what the broker presented, where
    that is known: its dates and names go into the message.
    """
    if isinstance(problem, int):
        if stage is Stage.SUBSCRIBE:
            return _explain_refused_filter(problem)
        return _explain_reason(problem, broker)
    if isinstance(problem, socket.gaierror | UnicodeError):
        return _explain_name(problem, broker)
    if isinstance(problem, ssl.SSLCertVerificationError):
        return _explain_certificate(problem, broker, chain)
    if isinstance(problem, ssl.SSLError):
        return _explain_tls(problem, broker)
    if isinstance(problem, ValueError):
        return _explain_value(problem, stage or Stage.TLS)
    if stage is None and isinstance(problem, TimeoutError) and "handshake" in str(problem):
        stage = Stage.TLS
    return _explain_socket(problem, broker, stage or Stage.TCP)


def explain_loss(reason: int, broker: BrokerAccess, client_id: str, *, again: bool) -> Cause:
    """Why a connection that was made is gone, where the broker said nothing; `reason` is paho's,
    and `again` says that several in a row ended soon after they were made."""
    where = broker.address
    if reason == _KEEP_ALIVE_TIMEOUT:
        message = f"Connection lost: {where} no longer answers"
        return Cause(Stage.CONNECT, message, "Check the network between here and the broker")
    message = f"Connection lost: {where} closed the connection"
    if again:
        # MQTT 3.1.1 has no word for a session that was taken over, and not every broker
        # sends the one of MQTT 5 (142).
        return Cause(
            Stage.CONNECT,
            f"{message}, again soon after it was made",
            f"Another client may use the client id {printable(client_id)!r}: give each its own",
        )
    return Cause(Stage.CONNECT, message, "The broker's log may say why")


def _explain_value(problem: ValueError, stage: Stage) -> Cause:
    """A value that cannot be used, in the words of `syntax` and `tls`: problem, colon, fix."""
    message, _, advice = str(problem).partition(": ")
    field = getattr(problem, "field", None)
    return Cause(stage, message, advice[:1].upper() + advice[1:], latch=True, field=field)


def _explain_reason(reason: int, broker: BrokerAccess) -> Cause:
    name, advice, latch = reason_words(reason)
    field = _REASON_FIELDS.get(reason)
    if field == "password" and broker.username is None:
        field = "username"
    elif field == "password" and broker.new_password is None:
        advice = "No password is given with this username, and the broker may want one"
    if reason == 134 and broker.username is None:
        advice = "No username is set: the broker wants one, with its password"
    if reason == 135 and broker.username is None:
        advice = (
            "No username is set, and the broker may want one; "
            "otherwise this client id may not connect"
        )
    code = DOCUMENTED_CODES.get(reason, reason)
    return Cause(Stage.CONNECT, name, advice, latch, field, code)


def _explain_refused_filter(reason: int) -> Cause:
    name, advice, _ = reason_words(reason)
    field = refused_field(reason)
    if reason == 128:
        advice = "Most often an access rule: let this user read the topic; MQTT 3.1.1 says no more"
    elif reason == 135:
        advice = "Let this user read the topic in the broker's access rules"
    return Cause(Stage.SUBSCRIBE, name, advice, field=field)


def refused_field(reason: int) -> str | None:
    """The field of the topics to look at, by the reason for which a filter was refused."""
    return _FILTER_FIELDS.get(reason)


def _explain_name(problem: socket.gaierror | UnicodeError, broker: BrokerAccess) -> Cause:
    host = broker.host
    number = problem.errno if isinstance(problem, socket.gaierror) else None
    if number == socket.EAI_AGAIN:
        return Cause(
            Stage.DNS,
            f"The name service did not answer for {host}",
            "Check this machine's network and its DNS settings; it may be passing",
        )
    if number in (socket.EAI_NODATA, socket.EAI_ADDRFAMILY):
        return Cause(
            Stage.DNS,
            f"{host} exists but has no address",
            "Check the host: this name belongs to something else than a server",
            field="host",
        )
    if number in (socket.EAI_NONAME, None):
        return Cause(
            Stage.DNS,
            f"There is no host named {host}",
            "Check the spelling of the host, and whether it is known outside its own network only",
            field="host",
        )
    return Cause(
        Stage.DNS,
        f"The name service failed for {host} ({problem.strerror})",  # type: ignore[union-attr]
        "Check this machine's network and its DNS settings",
    )


_UNKNOWN_ISSUER = (
    "The certificate was issued by an authority this machine does not know",
    "Give the certificate of that authority as ca_cert",
)
_SELF_SIGNED = (
    "The certificate is signed by itself, by no authority",
    "Compare its fingerprint with whoever runs the broker, then give it as ca_cert",
)
_GIVEN_ANOTHER = {
    _UNKNOWN_ISSUER: (
        "The certificate was not issued by the authority in ca_cert",
        "Give that authority as ca_cert, or none where this machine knows it",
    ),
    _SELF_SIGNED: (
        "The certificate is signed by itself, not by the authority in ca_cert",
        _SELF_SIGNED[1],
    ),
}
"""The same where a `ca_cert` is given, which is trusted in place of what this machine knows."""
_GIVEN_EXPIRED = (
    "The authority in ca_cert has expired",
    "Give its new certificate as ca_cert; check this machine's clock too",
)
_NOT_YET_VALID, _EXPIRED, _HOST_MISMATCH, _IP_MISMATCH = 9, 10, 62, 64
_VERIFICATION: dict[int, tuple[str, str]] = {
    _NOT_YET_VALID: (
        "The certificate is not valid yet",
        "Check this machine's clock; if it is right, the broker needs another certificate",
    ),
    _EXPIRED: (
        "The certificate has expired",
        "The broker needs a new certificate; check this machine's clock too",
    ),
    18: _SELF_SIGNED,
    19: _UNKNOWN_ISSUER,
    20: _UNKNOWN_ISSUER,
    21: _UNKNOWN_ISSUER,
    23: ("The certificate was revoked", "The broker needs a new certificate"),
    66: ("The certificate's key is too short", "The broker needs a certificate with a longer key"),
    67: ("The authority's key is too short", "The broker needs a certificate of another authority"),
    68: (
        "The certificate is signed with an outdated algorithm",
        "The broker needs a certificate signed with SHA-256 or better",
    ),
}
"""Message and advice by OpenSSL's verification error (X509_V_ERR_*)."""


def only_untrusted(problem: ssl.SSLCertVerificationError) -> bool:
    """Whether a certificate was refused for its issuer alone: trust may be all that is missing."""
    return _VERIFICATION.get(problem.verify_code) in (_SELF_SIGNED, _UNKNOWN_ISSUER)


def about_dates(problem: ssl.SSLCertVerificationError) -> bool:
    """Whether a certificate was refused for its dates: the clock here may be what is wrong."""
    return problem.verify_code in (_NOT_YET_VALID, _EXPIRED)


def _explain_certificate(
    problem: ssl.SSLCertVerificationError, broker: BrokerAccess, chain: Sequence[Certificate]
) -> Cause:
    code, field = problem.verify_code, None
    if code == _EXPIRED and broker.ca_cert and chain and all(c.days_left >= 0 for c in chain):
        # All that the broker presents is valid: then what is given here is not.
        return Cause(Stage.TLS, *_GIVEN_EXPIRED, latch=True, field="ca_cert")
    if code in (_HOST_MISMATCH, _IP_MISMATCH):
        field = "host"
        message = f"The certificate is not for {broker.host}"
        advice = "Use a host the certificate names, or give the broker one that names this host"
    elif code in _VERIFICATION:
        told = _VERIFICATION[code]
        message, advice = _GIVEN_ANOTHER.get(told, told) if broker.ca_cert else told
        field = "ca_cert" if only_untrusted(problem) else None
    else:
        message = f"The certificate was not accepted ({problem.verify_message})"
        advice = "The broker needs another certificate"
    message += _in_particular(code, broker, chain)
    return Cause(Stage.TLS, message, advice, latch=True, field=field)


def _in_particular(code: int, broker: BrokerAccess, chain: Sequence[Certificate]) -> str:
    """The part of the chain that a verification error is about, in words."""
    if not chain:
        return ""
    if code == _NOT_YET_VALID:
        return f": valid from {max(c.not_before for c in chain):%Y-%m-%d %H:%M} UTC"
    if code == _EXPIRED:
        return f": valid until {min(c.not_after for c in chain):%Y-%m-%d %H:%M} UTC"
    if code in (_HOST_MISMATCH, _IP_MISMATCH):
        return f", it is for {', '.join(chain[0].names[:5]) or chain[0].subject}"
    if _VERIFICATION.get(code) is _UNKNOWN_ISSUER:
        return f"{', but by' if broker.ca_cert else ':'} {chain[-1].issuer}"
    return ""


_Told = tuple[str, str, bool, str | None]
"""Message, advice, whether to latch, and the field to look at."""
_CLIENT_CERTIFICATE_REFUSED: _Told = (
    "The broker refused our client certificate",
    "Give a client_cert from an authority the broker trusts, still valid, with its client_key",
    True,
    "client_cert",
)
_CUT_OFF: _Told = (
    "The broker cut the TLS handshake off",
    "Check that this port speaks TLS, and whether the broker wants a client certificate",
    False,
    "port",
)
_OLD_PROTOCOL: _Told = (
    "The broker offers only TLS versions that are no longer safe",
    "The broker must offer TLS 1.2 or 1.3",
    True,
    None,
)
_TLS_PROBLEMS: dict[str, _Told] = {
    "WRONG_VERSION_NUMBER": (
        "The port does not speak TLS",
        "Turn off use_tls, or use the broker's TLS port (usually 8883)",
        False,
        "use_tls",
    ),
    "UNSUPPORTED_PROTOCOL": _OLD_PROTOCOL,
    "TLSV1_ALERT_PROTOCOL_VERSION": _OLD_PROTOCOL,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": _OLD_PROTOCOL,
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": _OLD_PROTOCOL,
    "DH_KEY_TOO_SMALL": _OLD_PROTOCOL,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "The broker ended the TLS handshake",
        "It wants a client certificate (client_cert, client_key), or shares no cipher with us",
        True,
        "client_cert",
    ),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": (
        "The broker wants a client certificate",
        "Give client_cert and client_key",
        True,
        "client_cert",
    ),
    "TLSV1_ALERT_UNKNOWN_CA": _CLIENT_CERTIFICATE_REFUSED,
    "TLSV1_ALERT_ACCESS_DENIED": _CLIENT_CERTIFICATE_REFUSED,
    "TLSV1_ALERT_DECRYPT_ERROR": _CLIENT_CERTIFICATE_REFUSED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _CLIENT_CERTIFICATE_REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _CLIENT_CERTIFICATE_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _CLIENT_CERTIFICATE_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _CLIENT_CERTIFICATE_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _CLIENT_CERTIFICATE_REFUSED,
    "TLSV1_UNRECOGNIZED_NAME": (
        "The broker does not know the host name it was asked for",
        "Use the name the broker's certificate is for",
        True,
        "host",
    ),
    "UNEXPECTED_EOF_WHILE_READING": _CUT_OFF,
}
"""By OpenSSL's reason."""


def _explain_tls(problem: ssl.SSLError, broker: BrokerAccess) -> Cause:
    if isinstance(problem, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Cause(Stage.TLS, *_CUT_OFF)
    reason = (problem.reason or "").replace("SSL/TLS_ALERT", "SSLV3_ALERT")
    if reason in _TLS_PROBLEMS:
        return Cause(Stage.TLS, *_TLS_PROBLEMS[reason])
    words = reason.replace("_", " ").lower() or "no reason given"
    return Cause(
        Stage.TLS,
        f"The TLS handshake with {broker.address} failed ({words})",
        "Check that the port speaks TLS, and the broker's TLS settings",
    )


def _explain_socket(problem: BaseException, broker: BrokerAccess, stage: Stage) -> Cause:
    where = broker.address
    if isinstance(problem, Unfinished):
        return Cause(
            stage,
            f"{where} began an answer and did not finish it",
            "Check that this port speaks MQTT; the broker or the network may be overloaded",
            field="port",
        )
    if isinstance(problem, TimeoutError):
        message, advice = _SILENCE[stage]
        return Cause(stage, message.format(where=where), advice, field=_SILENT_FIELDS.get(stage))
    if isinstance(problem, ConnectionRefusedError):
        return Cause(
            Stage.TCP,
            f"{where} refused the connection",
            "Nothing listens on that port: check the port, and that the broker runs",
            field="port",
        )
    if isinstance(problem, PeerClosed | ConnectionError | BrokenPipeError):
        verb = "closed" if isinstance(problem, PeerClosed) else "reset"
        if stage is Stage.TLS:
            return Cause(stage, *_CUT_OFF)
        field = "port" if stage is Stage.CONNECT else None
        return Cause(stage, f"{where} {verb} the connection", _BROKEN_OFF[stage], field=field)
    if isinstance(problem, OSError):
        return _explain_unreachable(problem, broker, stage)
    return Cause(
        stage,
        f"Something unforeseen happened ({type(problem).__name__})",
        "Please report this with the steps that lead here",
    )


_SILENCE = {
    Stage.DNS: (
        "The name service gave no answer in time",
        "Check this machine's network and its DNS settings",
    ),
    Stage.TCP: (
        "{where} did not answer",
        "A firewall drops the packets, or the host is down: check host, port and network",
    ),
    Stage.TLS: (
        "{where} stopped answering during the TLS handshake",
        "Check that this port speaks TLS and that the broker is healthy",
    ),
    Stage.CONNECT: (
        "{where} accepts connections and says nothing",
        "Check that this port speaks MQTT, with TLS or without; the broker may hang",
    ),
    Stage.SUBSCRIBE: (
        "{where} did not answer the subscription",
        "The broker may be overloaded; its log may say more",
    ),
    Stage.ROUND_TRIP: (
        "The message did not come back",
        "An access rule lets this user subscribe or publish in appearance only",
    ),
}
"""What a time-out means, by the stage where it happens: message and advice."""
_SILENT_FIELDS = {Stage.TCP: "host", Stage.TLS: "port", Stage.CONNECT: "port"}

_BROKEN_OFF = {
    Stage.DNS: "Check this machine's network and its DNS settings",
    Stage.TCP: "Something on the way or a limit of the broker rejects it: its log may say why",
    Stage.CONNECT: "Check that this port speaks MQTT; the broker's log may say why",
    Stage.SUBSCRIBE: (
        "The broker does not accept this subscription, "
        "or another client connected with the same client id: its log says which"
    ),
    Stage.ROUND_TRIP: "The broker does not accept this message; its log may say why",
}


def _explain_unreachable(problem: OSError, broker: BrokerAccess, stage: Stage) -> Cause:
    field = None
    match problem.errno:
        case errno.ENETUNREACH:
            message, advice = "No route leads to", "Check this machine's network and VPN"
        case errno.EHOSTUNREACH | errno.EHOSTDOWN:
            message, advice = "Nothing answers at", "Check the host, and the network in between"
            field = "host"
        case errno.EACCES | errno.EPERM:
            message, advice = "This machine forbids connecting to", "Check its own firewall"
        case errno.ETIMEDOUT:
            return _explain_socket(TimeoutError(), broker, stage)
        case _:
            words = (problem.strerror or type(problem).__name__).lower()
            return Cause(stage, f"Connecting to {broker.address} failed ({words})")
    return Cause(stage, f"{message} {broker.address}", advice, field=field)
