"""The settings of notifications: a webhook, an MQTT broker."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from agent.redaction import hide_always
from agent.settings.key import read_api_key
from agent.settings.secret import read_secret
from agent.settings.table import Table
from agent.settings.tables import is_loopback

if TYPE_CHECKING:
    from agent.settings.model import Settings

EventName = Literal[
    "take.ready",
    "take.held",
    "take.refused",
    "take.delivered",
    "session.completed",
    "session.failed",
    "station.state",
]
EVENTS: tuple[EventName, ...] = get_args(EventName)

_PREFIX = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_PLAIN_PORT, _TLS_PORT = 1883, 8883


class WebhookSettings(Table):
    """A webhook that receives events; see docs/notifications.md."""

    url: SecretStr | None = Field(
        None,
        description="Where events are posted; if unset: off.  The path is often a secret, so it is "
        "hidden like one.",
    )
    secret_file: Path = Field(
        Path("/etc/spotter/webhook-secret"),
        description='File with the secret that signs events: "whsec_" and the base64 of 24 to 64 '
        'random bytes.  Or the systemd credential "webhook-secret"; missing: events wait.',
    )
    secret: SecretStr | None = Field(None, description="The secret itself; better in the file.")
    events: tuple[EventName, ...] = Field(
        EVENTS, description="Events that are sent; others are not."
    )
    ca_file: Path | None = Field(None, description="Additional certificate authority (PEM).")
    allow_http: bool = Field(
        False, description="Allow an address without TLS that is not on this box."
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(
        10.0, description="Longest wait for the complete response to one event."
    )

    @model_validator(mode="after")
    def _address_serves(self) -> "WebhookSettings":
        if self.url is None:
            return self
        parts = urlsplit(self.url.get_secret_value())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("url must be an address such as https://home.example/hooks/spotter")
        if parts.username or parts.password or parts.fragment:
            raise ValueError("url must hold no user name and no fragment")
        _ = parts.port  # one that is none raises
        if parts.scheme == "http" and not (self.allow_http or is_loopback(parts.hostname)):
            raise ValueError(
                "url without TLS would show user ids to the network: use https, or allow_http"
            )
        return self

    @property
    def place(self) -> str:
        """The receiver's name for people: scheme, host and port, for the rest may be secret."""
        parts = urlsplit("" if self.url is None else self.url.get_secret_value())
        return f"{parts.scheme}://{parts.netloc}"


class MqttSettings(Table):
    """An MQTT broker that receives events; see docs/notifications.md."""

    host: str = Field("", description='Host name or address of the broker; "": off.')
    port: Annotated[int, Field(gt=0, lt=65536)] | None = Field(
        None, description="If unset: 1883, with TLS 8883."
    )
    tls: bool = Field(False, description="Use TLS.")
    ca_file: Path | None = Field(None, description="Additional certificate authority (PEM).")
    version: Literal["5", "3.1.1"] = Field(
        "5", description="5 | 3.1.1, which cannot report a refused event"
    )
    user: str | None = Field(None, description="MQTT user name.")
    password_file: Path | None = Field(
        None,
        description="File with the password.  Or $SPOTTER_MQTT__PASSWORD, or the systemd "
        'credential "mqtt-password".',
    )
    password: SecretStr | None = Field(None, description="The password itself.")
    prefix: str = Field("spotter", description="Prefix of all topics.")
    discovery: bool = Field(True, description="Publish Home Assistant discovery.")
    discovery_prefix: str = Field(
        "homeassistant", description="Discovery prefix of Home Assistant."
    )

    @field_validator("prefix", "discovery_prefix")
    @classmethod
    def _is_a_topic(cls, value: str) -> str:
        if not _PREFIX.fullmatch(value):
            raise ValueError('must be a topic such as "spotter" or "gym/hall-2"')
        return value

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port or (_TLS_PORT if self.tls else _PLAIN_PORT)


def channels_of(webhook: WebhookSettings, mqtt: MqttSettings) -> list[str]:
    """Return the names of the channels that are on."""
    found = {"mqtt": bool(mqtt.host), "webhook": webhook.url is not None}
    return [name for name, is_on in found.items() if is_on]


def read_webhook_secret(settings: WebhookSettings, environ: Mapping[str, str]) -> str | None:
    """Return the secret by which notices are signed, or None where there is none."""
    hide_always(None if settings.url is None else settings.url.get_secret_value())
    return read_secret(settings.secret, settings.secret_file, environ, credential="webhook-secret")


def read_secrets(settings: "Settings", environ: Mapping[str, str]) -> None:
    """Read every secret once, before the right to do so is given up."""
    read_api_key(settings.api, environ)
    read_webhook_secret(settings.webhook, environ)
    read_mqtt_password(settings.mqtt, environ)


def read_mqtt_password(settings: MqttSettings, environ: Mapping[str, str]) -> str | None:
    """Return the password for the broker, or None where there is none."""
    return read_secret(
        settings.password, settings.password_file, environ, credential="mqtt-password"
    )
