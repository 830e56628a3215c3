"""What was published through one client, and who waits for the broker to have it."""

from collections.abc import Callable

from paho.mqtt.client import MQTTMessageInfo, error_string
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

OnPublished = Callable[[str | None], None]
"""Told nothing once the broker has a message (QoS 0: once it is sent), or why it has not."""


class Publishing:
    """The messages of one client that are on their way."""

    def __init__(self) -> None:
        self._waiting: dict[int, OnPublished] = {}
        """By packet."""

    def expect(self, sent: MQTTMessageInfo, done: OnPublished) -> None:
        """The client was given a message to publish."""
        if sent.rc is MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._waiting[sent.mid] = done
        else:
            done(error_string(sent.rc))

    def answered(self, mid: int, reason: ReasonCode) -> None:
        """The broker has a message, or refuses it; one of QoS 0 is sent."""
        if done := self._waiting.pop(mid, None):
            done(str(reason) if reason.is_failure else None)

    def disconnected(self) -> None:
        """The connection ended."""
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done("the connection ended before the broker had it")
