"""The process behind `Amqtt`: aMQTT's own command line, made to turn MQTT 5 clients away.

aMQTT takes the CONNECT of MQTT 5 for one of 3.1.1 with a longer payload, and waits for bytes that
never come. Here it hangs up instead, so that such a client falls back at once.
"""

from amqtt.adapters import ReaderAdapter
from amqtt.errors import MQTTError
from amqtt.mqtt.connect import ConnectPacket, ConnectVariableHeader
from amqtt.mqtt.packet import MQTTFixedHeader
from amqtt.scripts.broker_script import main

MQTT_3_1_1 = 4
"""Its protocol level (MQTT 3.1.1 §3.1.2.2)."""


class CheckedHeader(ConnectVariableHeader):  # type: ignore[misc]  # aMQTT has no types
    """The header of a CONNECT, whose protocol level is looked at before the rest is read."""

    @classmethod
    async def from_stream(
        cls, reader: ReaderAdapter, fixed_header: MQTTFixedHeader
    ) -> "CheckedHeader":
        header: CheckedHeader = await super().from_stream(reader, fixed_header)
        if header.proto_level > MQTT_3_1_1:
            raise MQTTError(f"protocol level {header.proto_level} is not supported")
        return header


if __name__ == "__main__":
    ConnectPacket.VARIABLE_HEADER = CheckedHeader
    main()
