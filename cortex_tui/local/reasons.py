"""The reason codes of MQTT 5, and those of 3.1.1 that mean the same: what each is called, what to
change, and whether a retry helps. Pure."""

_CREDENTIALS = "Check username and password; the broker's log may say which of them it refused"
_CLIENT_ID = "Choose another client_id, or leave it empty for a generated one"
_LATER = "Nothing to change here: it may accept again later, and its log says why it does not now"
_OTHER_SERVER = "Ask whoever runs the broker for its new address"
_OUR_PACKET = "The broker found fault with what was sent; its log says more"

_REASONS: dict[int, tuple[str, str, bool]] = {
    0: ("Normal disconnection", "The broker closed the session; its log says why", False),
    128: ("Unspecified error", "The broker gives no reason; its log may", False),
    129: ("Malformed packet", _OUR_PACKET, False),
    130: ("Protocol error", _OUR_PACKET, False),
    131: ("Implementation specific error", "The broker's log says more", False),
    132: (
        "Incorrect protocol version",
        "The broker speaks neither MQTT 5 nor 3.1.1: look up what it speaks on this port",
        True,
    ),
    133: ("Invalid client identifier", _CLIENT_ID, True),
    134: ("Bad username or password", _CREDENTIALS, True),
    135: (
        "Not authorized",
        "Check username and password first: several brokers answer this to a wrong one. "
        "Otherwise this user or client id may not connect",
        True,
    ),
    136: ("Server unavailable", _LATER, False),
    137: ("Server busy", _LATER, False),
    138: ("Banned", "The broker has banned this client: ask whoever runs it to lift that", True),
    139: ("Server shutting down", _LATER, False),
    140: (
        "Bad authentication method",
        "The broker wants another way to log in than username and password",
        True,
    ),
    141: (
        "Keep alive timeout",
        "The broker heard nothing for too long: the network stalls, or keep_alive is too short",
        False,
    ),
    142: (
        "Session taken over",
        "Another client connected with the same client id: give each its own client_id, "
        "or leave it empty for a generated one",
        True,
    ),
    143: ("Topic filter invalid", "Check the prefix and the pattern of the topics", False),
    144: ("Topic name invalid", "Check the prefix and the pattern of the topics", False),
    147: ("Receive maximum exceeded", _OUR_PACKET, False),
    148: ("Topic alias invalid", _OUR_PACKET, False),
    149: ("Packet too large", "The broker takes only smaller packets", False),
    150: ("Message rate too high", "The broker takes fewer messages a second", False),
    151: (
        "Quota exceeded",
        "The broker's limit for this account is used up: close other connections or raise it",
        False,
    ),
    152: ("Administrative action", "Somebody closed this connection at the broker", False),
    153: ("Payload format invalid", _OUR_PACKET, False),
    154: ("Retain not supported", "The broker keeps no retained messages", False),
    155: ("QoS not supported", "Choose a lower qos", False),
    156: ("Use another server", _OTHER_SERVER, False),
    157: ("Server moved", _OTHER_SERVER, True),
    158: ("Shared subscriptions not supported", "Turn off use_shared", False),
    159: ("Connection rate exceeded", "Too many connections in a short time: wait", False),
    160: ("Maximum connect time", "The broker limits how long a connection lasts", False),
    161: ("Subscription identifiers not supported", _OUR_PACKET, False),
    162: ("Wildcard subscriptions not supported", "Give topics without + and #", False),
}
"""Name, advice and whether to latch, by reason code (MQTT 5 §2.4). The names are the standard's,
and the reference's own where its table has one."""

DOCUMENTED_CODES = {132: 1, 133: 2, 136: 3, 134: 4, 135: 5}
"""MQTT 5 reasons with a number in the reference's table, which is the one of MQTT 3.1.1."""

_V3_REASONS = {code: reason for reason, code in DOCUMENTED_CODES.items()}


def reason_of_v3(return_code: int) -> int:
    """The MQTT 5 reason that says the same as a return code of MQTT 3.1.1 (§3.2.2.3)."""
    return _V3_REASONS.get(return_code, return_code)


def reason_name(reason: int) -> str:
    """The standard name of a reason code."""
    return reason_words(reason)[0]


def reason_words(reason: int) -> tuple[str, str, bool]:
    """Name, advice and whether to latch."""
    return _REASONS.get(reason, (f"Unknown reason {reason}", "The broker's log says more", False))
