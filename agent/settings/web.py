"""The settings of the coach's page."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from agent.settings.table import Table
from agent.settings.tables import is_loopback

LOCALES = Path(__file__).parents[1] / "web" / "locale"  # the page's translations
_SHORTEST_PIN = 6


def languages() -> list[str]:
    """Return the languages into which the page is translated."""
    return sorted(path.parts[-3] for path in LOCALES.glob("*/LC_MESSAGES/spotter.mo"))


class WebSettings(Table):
    """The coach's page."""

    listen: str = Field("127.0.0.1:8377", description='Address and port; "" turns the page off.')
    pin_file: Path | None = Field(
        None,
        description="File with the PIN, six characters or more; needed for any address but "
        "loopback.",
    )
    pin: SecretStr | None = Field(None, description="The PIN itself.")
    hosts: tuple[str, ...] = Field(
        (),
        description="Additional host names of the page; the host name and the addresses of this "
        "box are known.",
    )
    tls: Literal["off", "own", "given"] = Field(
        "off",
        description="off | own (a certificate that Spotter creates) | given (tls_cert, tls_key)",
    )
    tls_cert: Path | None = Field(None, description="Certificate chain, for tls = given.")
    tls_key: Path | None = Field(None, description="Its private key.")
    session_days: Annotated[float, Field(gt=0, le=400)] = Field(
        90.0, description="Days without use after which a device must log in again."
    )
    metrics_token_file: Path | None = Field(
        None,
        description="File with the bearer token for /metrics (Authorization: Bearer TOKEN); "
        "if unset: only from this box.",
    )
    metrics_token: SecretStr | None = Field(None, description="The token itself.")
    language: str = Field(
        "en", description="en | de, or another language with a catalogue in agent/web/locale."
    )
    unit: Literal["kg", "lb"] = Field(
        "kg", description="kg | lb, on the page only: the API always gets kilograms."
    )

    @field_validator("language")
    @classmethod
    def _translated(cls, value: str) -> str:
        if value not in languages():
            raise ValueError(f"must be one of {', '.join(languages())}")
        return value

    @field_validator("hosts")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name) for name in value):
            raise ValueError('must be names such as "platform-3.gym.example"')
        return value

    @field_validator("pin")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().strip()) < _SHORTEST_PIN:
            raise ValueError(f"a PIN has {_SHORTEST_PIN} characters or more")
        return value

    @model_validator(mode="after")
    def _guarded(self) -> "WebSettings":
        if self.tls == "given" and (self.tls_cert is None or self.tls_key is None):
            raise ValueError('tls = "given" needs tls_cert and tls_key')
        if not self.listen:
            return self
        host, _, port = self.listen.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError('listen must be like "127.0.0.1:8377", or "" for no page')
        if not is_loopback(host.strip("[]")) and self.pin is None and self.pin_file is None:
            raise ValueError("a page on the network needs pin or pin_file")
        return self
