"""What Home Assistant is told has the fields that its own checks ask for."""

import json
import re

from agent.notifications.message import Topics, discovery, trial_notice
from agent.station.status import StationStatus
from tests.unit.notifications.test_station_report import QUIET

TOPICS = Topics(prefix="gym/spotter", station="platform-3")

# Of its "MQTT Sensor" and "MQTT Binary sensor" pages: what one may say beside what all have.
_COMMON = {
    *("name", "unique_id", "state_topic", "value_template", "device_class", "entity_category"),
    *("availability_topic", "payload_available", "payload_not_available", "qos"),
    *("device", "origin"),
}
_OWN = {"sensor": {"options", "state_class", "unit_of_measurement"}, "binary_sensor": set[str]()}
_DEVICE = {"identifiers", "name", "manufacturer", "model", "sw_version"}


def test_each_document_has_what_is_required_and_nothing_unknown() -> None:
    unique_ids = set()
    for message in discovery(TOPICS, prefix="homeassistant"):
        prefix, kind, node, name, config = message.topic.split("/")
        document = json.loads(message.payload)
        assert message.retain and (prefix, config) == ("homeassistant", "config")
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", node + name)
        assert {"state_topic", "unique_id", "device"} <= set(document) <= _COMMON | _OWN[kind]
        assert document["state_topic"] == TOPICS.state
        assert document["availability_topic"] == TOPICS.availability
        assert document["device"]["identifiers"] and set(document["device"]) <= _DEVICE
        assert document["origin"]["name"]
        # An enum has options, and neither unit nor class of state.
        is_enum = document.get("device_class") == "enum"
        assert is_enum == ("options" in document)
        assert not (is_enum and {"state_class", "unit_of_measurement"} & set(document))
        unique_ids.add(document["unique_id"])
    assert len(unique_ids) == 5


def test_every_word_is_an_option_and_every_template_reads_what_is_told() -> None:
    told = QUIET.document()
    for message in discovery(TOPICS, prefix="homeassistant"):
        document = json.loads(message.payload)
        if "options" in document:
            assert document["options"] == [str(word) for word in StationStatus]
        (path,) = re.findall(r"value_json((?:\.\w+)+)", document["value_template"])
        value: object = told
        for name in path.strip(".").split("."):
            assert isinstance(value, dict)
            value = value[name]


def test_a_notice_has_its_topic() -> None:
    message = TOPICS.message_of(trial_notice(station="platform-3", at=1.0))

    assert message.topic == "gym/spotter/platform-3/event/station.test"
    assert not message.retain
