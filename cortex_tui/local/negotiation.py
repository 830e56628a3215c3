"""Which version of MQTT one broker is spoken to in: 5 first, then 3.1.1."""

from paho.mqtt.enums import MQTTProtocolVersion

from cortex_tui.local.causes import Cause

FIRST_PROTOCOL = MQTTProtocolVersion.MQTTv5
"""What a broker is tried with at first; MQTT 3.1.1 is fallen back to."""

_VERSIONS = {MQTTProtocolVersion.MQTTv5: "5.0", MQTTProtocolVersion.MQTTv311: "3.1.1"}
_UNSUPPORTED_VERSION = 1
"""The code of a broker that does not know the version (MQTT 3.1.1 §3.2.2.3)."""


class Negotiation:
    """What is known by now of the version a broker speaks."""

    def __init__(self) -> None:
        self.protocol = FIRST_PROTOCOL
        self._accepted = False

    @property
    def version(self) -> str:
        """The protocol as a person writes it."""
        return _VERSIONS[self.protocol]

    def accepted(self) -> None:
        """The broker accepted a connection: it stays with this version."""
        self._accepted = True

    def falls_back(self, refused: Cause | None) -> bool:
        """Whether an attempt that failed is to be followed by one in MQTT 3.1.1; `refused` is what
        the broker answered, if it did."""
        # A broker that knows only 3.1.1 says so, answers what paho calls a protocol error, just
        # closes, or stalls. A real refusal in MQTT 5 is its last word.
        return (
            self.protocol is MQTTProtocolVersion.MQTTv5
            and not self._accepted
            and (refused is None or refused.code == _UNSUPPORTED_VERSION)
        )

    def fall_back(self) -> None:
        """Go on in MQTT 3.1.1."""
        self.protocol = MQTTProtocolVersion.MQTTv311

    def begins_anew(self) -> bool:
        """After a failure: whether the next attempt is in another version than this one was. So it
        is where 3.1.1 failed too, and whether the broker knows MQTT 5 was not found out."""
        before = self.protocol
        if not self._accepted:
            self.protocol = FIRST_PROTOCOL
        return self.protocol is not before
