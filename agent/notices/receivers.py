"""The ways to the receivers that the settings name.

What speaks to a broker is loaded only where there is one.
"""

import os
from collections.abc import Callable
from functools import partial

from agent.clock import read_clock
from agent.notices.channel import Receiver
from agent.notices.topics import Topics, discovery
from agent.settings import Settings
from agent.settings.notifying import read_mqtt_password, read_webhook_secret


def receiver_of(
    name: str, settings: Settings, *, check: Callable[[], None], role: str | None = None
) -> Receiver:
    """Return the way to a channel's receiver.

    Args:
        name: webhook or mqtt.
        settings: of the station.
        check: what it raises ends whatever is under way.
        role: of a command that only tries the receiver out; None: it is the station itself.
    """
    if name == "mqtt":
        return _broker(settings, check=check, role=role)
    from agent.notices.webhook import Webhook

    webhook = settings.webhook
    assert webhook.url is not None  # the channel is on
    return Webhook(
        webhook.url.get_secret_value(),
        read_secret=partial(read_webhook_secret, webhook, os.environ),
        ca_file=webhook.ca_file,
        timeout_s=webhook.timeout_s,
        now=read_clock,
        check=check,
    )


def _broker(settings: Settings, *, check: Callable[[], None], role: str | None) -> Receiver:
    from agent.notices.broker import Broker, BrokerSettings

    mqtt, station = settings.mqtt, settings.station.id
    topics = Topics(prefix=mqtt.prefix, station=station)
    host, port = mqtt.address
    return Broker(
        BrokerSettings(
            host=host,
            port=port,
            tls=mqtt.tls,
            ca_file=mqtt.ca_file,
            version=mqtt.version,
            user=mqtt.user,
            client_id=f"spotter-{station}" + ("" if role is None else f"-{role}"),
        ),
        topics=topics,
        greetings=tuple(discovery(topics, prefix=mqtt.discovery_prefix)) if mqtt.discovery else (),
        read_password=partial(read_mqtt_password, mqtt, os.environ),
        now=read_clock,
        check=check,
        is_station=role is None,
    )
