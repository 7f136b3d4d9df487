"""MQTT topics, and Home Assistant discovery messages.  Pure.

    spotter/platform-3/event/take.ready    each notice, once
    spotter/platform-3/state               the station's state, kept by the broker
    spotter/platform-3/availability        online or offline, kept; offline by last will

Source of the discovery documents: home-assistant.io, "MQTT Discovery", "MQTT Sensor" and "MQTT
Binary sensor".
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from agent import __version__
from agent.notifications.message import STATION_STATE, Notice
from agent.station.status import StationStatus

ONLINE, OFFLINE = b"online", b"offline"
_MAKER = "Spotter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is published."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The topics of one station."""

    prefix: str
    station: str

    @property
    def state(self) -> str:
        """The topic of the station's state."""
        return f"{self.prefix}/{self.station}/state"

    @property
    def availability(self) -> str:
        """The topic of the station's availability."""
        return f"{self.prefix}/{self.station}/availability"

    def message_of(self, notice: Notice) -> Message:
        """Return how a notice is published."""
        if notice.event == STATION_STATE:
            return Message(topic=self.state, payload=notice.body, retain=True)
        topic = f"{self.prefix}/{self.station}/event/{notice.event}"
        return Message(topic=topic, payload=notice.body, retain=False)

    def presence(self, payload: bytes) -> Message:
        """Return what says whether the station is there."""
        return Message(topic=self.availability, payload=payload, retain=True)


_SENSORS: dict[str, tuple[str, dict[str, object]]] = {
    "state": (
        "sensor",
        {
            "name": "State",
            "device_class": "enum",
            "options": [str(word) for word in StationStatus],
            "value_template": "{{ value_json.state }}",
        },
    ),
    "needs_person": (
        "binary_sensor",
        {
            "name": "Action required",
            "device_class": "problem",
            "value_template": "{{ 'ON' if value_json.needs_person else 'OFF' }}",
        },
    ),
    "clips_to_send": (
        "sensor",
        {
            "name": "Clips to upload",
            "state_class": "measurement",
            "value_template": "{{ value_json.backlog.clips }}",
        },
    ),
    "takes_held": (
        "sensor",
        {
            "name": "Takes held for review",
            "state_class": "measurement",
            "value_template": "{{ value_json.held }}",
        },
    ),
    "disk_free": (
        "sensor",
        {
            "name": "Disk free",
            "device_class": "data_size",
            "state_class": "measurement",
            "unit_of_measurement": "GB",
            "entity_category": "diagnostic",
            "value_template": "{{ (value_json.disk.free_bytes / 1e9) | round(1) }}",
        },
    ),
}


def discovery(topics: Topics, *, prefix: str) -> Iterator[Message]:
    """Yield the Home Assistant discovery messages of the station: a device with its sensors.

    Args:
        topics: of the station.
        prefix: where Home Assistant looks.
    """
    node = f"spotter_{topics.station}"
    for name, (kind, own) in _SENSORS.items():
        document = {
            **own,
            "unique_id": f"{node}_{name}",
            "state_topic": topics.state,
            "availability_topic": topics.availability,
            "payload_available": ONLINE.decode(),
            "payload_not_available": OFFLINE.decode(),
            "qos": 1,
            "device": {
                "identifiers": [node],
                "name": f"Spotter {topics.station}",
                "manufacturer": _MAKER,
                "model": "Gym station",
                "sw_version": __version__,
            },
            "origin": {"name": _MAKER, "sw_version": __version__},
        }
        topic = f"{prefix}/{kind}/{node}/{name}/config"
        yield Message(topic=topic, payload=json.dumps(document).encode("ascii"), retain=True)
