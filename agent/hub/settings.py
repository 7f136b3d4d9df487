"""The hub's settings: one file, another machine's or user's than a station's."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from agent.bandwidth_schedule import parse_timetable
from agent.errors import ConfigError
from agent.facility.membership import DEFAULT_PORT, NAME
from agent.settings.load import explained_toml, toml_tables, validated
from agent.settings.model import EnvironmentFirst, LogSettings, Table, WebSettings, is_loopback
from agent.station.network import reached_at

HUB_CONFIG = Path("/etc/spotter/hub.toml")
ENV_PREFIX = "HUB_"
LEAF_PORT = 7422
_PIN_CREDENTIAL = "hub-pin"  # systemd hands it over: the service may not read /etc/spotter
_HINT = "docs/facility.md shows a hub's settings"


class SiteSettings(Table):
    """The site, and the broker that its stations meet at."""

    site: str = Field(pattern=f"^{NAME}$", description="Name of the site in all subjects.")
    state: Path = Field(
        Path("/var/lib/spotter-hub"), description="Keys, stations, and the broker's store."
    )
    listen: str = Field(
        f"0.0.0.0:{DEFAULT_PORT}", description="Address and port at which the broker listens."
    )
    address: str | None = Field(
        None,
        description="host:port by which stations call it; if unset: this machine's address.",
    )
    server: Path | None = Field(
        None,
        description="The nats-server to start; if unset: the one beside Spotter, then that of "
        "the PATH.",
    )

    sites: str | None = Field(
        None,
        description="Address and port at which the hubs of a chain's sites connect, such as "
        f'"0.0.0.0:{LEAF_PORT}"; if unset: no site can join.',
    )
    uplink: str = Field(
        "unlimited",
        description='Upload rate of the site, divided among its stations: "20Mbit/s", or a '
        "timetable as in delivery.schedule. It also applies without the hub.",
    )
    prometheus_targets: Path | None = Field(
        None,
        description="File with the stations for Prometheus (file_sd_configs), such as "
        "/run/spotter-hub/stations.json; if unset: none is written.",
    )

    @field_validator("listen", "address", "sites")
    @classmethod
    def _has_port(cls, value: str | None) -> str | None:
        host, _, port = (value or f"x:{DEFAULT_PORT}").rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f'must be a host and a port, as in "hub.local:{DEFAULT_PORT}"')
        return value

    @field_validator("uplink")
    @classmethod
    def _is_rate(cls, value: str) -> str:
        if not parse_timetable(value).never_closes:
            raise ValueError('cannot be "off": upload hours are set at the stations')
        return value

    @property
    def called(self) -> str:
        """The address by which stations call the broker."""
        if self.address is not None:
            return self.address
        host, _, port = self.listen.rpartition(":")
        return f"{reached_at(host, otherwise='127.0.0.1')}:{port}"

    @property
    def is_reachable(self) -> bool:
        """Whether another machine can reach the broker."""
        return not is_loopback(self.listen.rpartition(":")[0].strip("[]"))


class BoardSettings(WebSettings):
    """The hub's page, with the same settings as a station's."""

    listen: str = Field("127.0.0.1:8378", description='Address and port; "" turns the page off.')


class HubSettings(EnvironmentFirst):
    """Every setting of a hub; every key also as HUB_TABLE__KEY."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    hub: SiteSettings
    web: BoardSettings = Field(default_factory=BoardSettings)
    log: LogSettings = Field(default_factory=LogSettings)


def load_hub(path: Path) -> HubSettings:
    """Load a hub's settings from its file and the environment.

    Raises:
        ConfigError: naming every mistake, each with what would be right.
    """
    try:
        document = toml_tables(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            f"no settings of a hub: {path} is missing",
            hint="docs/facility.md shows what to write; to use another file: --config FILE",
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint=_HINT) from None
    except ValueError as error:
        raise explained_toml(error, path) from None
    return _with_credentials(validated(HubSettings, document, path, hint=_HINT), os.environ)


def _with_credentials(settings: HubSettings, environ: Mapping[str, str]) -> HubSettings:
    """Return settings whose PIN is read where systemd has put it, if it has."""
    handed = Path(environ.get("CREDENTIALS_DIRECTORY", ""), _PIN_CREDENTIAL)
    if settings.web.pin_file is None or not handed.is_absolute() or not handed.exists():
        return settings
    web = settings.web.model_copy(update={"pin_file": handed})
    return settings.model_copy(update={"web": web})
