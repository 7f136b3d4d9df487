"""What the hub wants of its stations, settings and version: for all, for a group, for one.

What is more specific to a station takes precedence.  Each station gets one whole fragment of
settings, signed, with a revision of its own; and so with the version.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.disk.state_folder import open_plain, rewriting
from agent.errors import ConfigError, RequestError
from agent.facility.broker import HubConnection
from agent.facility.membership import DESIRED, Subjects
from agent.facility.orders import (
    Release,
    RevisedDocument,
    SettingsFragment,
    StationRelease,
    Tables,
)
from agent.hub.folder import HubFolder, changing_alone
from agent.hub.server import hub_access
from agent.hub.settings import SiteSettings
from agent.hub.stations import next_revision
from agent.settings.load import check_tables, toml_value

_MOST_FILE_BYTES = 1 << 22


class _Wanted(BaseModel):
    """What is wanted, as it is kept."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    everywhere: Any = None
    groups: dict[str, Any] = Field(default_factory=dict)
    stations: dict[str, Any] = Field(default_factory=dict)


class PushedSettings(_Wanted):
    """The settings that are wanted."""

    everywhere: dict[str, dict[str, Any]] = Field(default_factory=dict)
    groups: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    stations: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)

    def of(self, station: str, group: str | None) -> dict[str, dict[str, Any]]:
        """Return what is wanted of one station."""
        merged: dict[str, dict[str, Any]] = {}
        for layer in (
            self.everywhere,
            self.groups.get(group, {}) if group is not None else {},
            self.stations.get(station, {}),
        ):
            for table, values in layer.items():
                merged[table] = {**merged.get(table, {}), **values}
        return merged

    def text(self) -> str:
        """Return it as TOML, each part under a remark for whom it is."""
        parts = [("for all stations", self.everywhere)]
        parts += [(f"for the group {name}", one) for name, one in sorted(self.groups.items())]
        parts += [(f"for {name}", one) for name, one in sorted(self.stations.items())]
        return "\n".join(f"# {whom}\n{_toml(tables)}" for whom, tables in parts if tables)


def _toml(tables: Tables) -> str:
    lines = []
    for table, values in sorted(tables.items()):
        lines += [f"[{table}]", *(f"{key} = {toml_value(one)}" for key, one in values.items())]
    return "".join(f"{line}\n" for line in lines)


class WantedReleases(_Wanted):
    """The versions that are wanted."""

    everywhere: Release | None = None
    groups: dict[str, Release] = Field(default_factory=dict)
    stations: dict[str, Release] = Field(default_factory=dict)

    def of(self, station: str, group: str | None) -> Release:
        """Return what is wanted of one station."""
        of_group = None if group is None else self.groups.get(group)
        return self.stations.get(station) or of_group or self.everywhere or Release()

    def lines(self) -> list[str]:
        """Return it for people, one line for whom it is."""
        parts = [("all stations", self.everywhere)]
        parts += [(f"group {name}", one) for name, one in sorted(self.groups.items())]
        parts += sorted(self.stations.items())
        return [f"{whom}: {one.words}" for whom, one in parts if one is not None]


Kept = TypeVar("Kept", bound=_Wanted)
Told = TypeVar("Told", bound=RevisedDocument)


class _Fleet(ABC, Generic[Kept, Told]):
    """Keeps what is wanted, and publishes to each station its part."""

    def __init__(
        self, site: SiteSettings, folder: HubFolder, path: Path, kept: type[Kept], told: type[Told]
    ) -> None:
        self._site = site
        self._folder = folder
        self._path = path
        self._kept = kept
        self._told = told

    def wanted(self) -> Kept:
        """Return what is wanted; nothing is, where there is no file.

        Raises:
            ConfigError: the file may not be read, or is damaged.
        """
        try:
            with open_plain(self._path) as file:
                return self._kept.model_validate_json(file.read(_MOST_FILE_BYTES))
        except FileNotFoundError:
            return self._kept()
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror}", hint="use sudo") from None
        except ValidationError:
            raise ConfigError(f"{self._path} is damaged", hint="restore it from a backup") from None

    def tell(self, *, now_s: float) -> list[str]:
        """Publish to the stations what is wanted; return those for which it is news.

        Raises:
            NotifyError: the broker cannot be reached: they hear of it when the hub starts.
            ConfigError: the file of what is wanted is damaged.
        """
        with changing_alone(self._folder.root, "telling.lock"):  # the last to tell tells everything
            return self._tell(self.wanted(), now_s=now_s)

    def _tell(self, wanted: Kept, *, now_s: float) -> list[str]:
        site, key, told = self._site.site, self._folder.key(), []
        with closing(HubConnection(hub_access(self._site.listen, self._folder, key))) as hub:
            hub.open()
            for name, known in self._folder.register().stations.items():
                subjects = Subjects(site=site, station=name)
                subject = f"$KV.{DESIRED}.{subjects.place}.{self._told.KIND}"
                stored, before = hub.stored(subjects.last(f"KV_{DESIRED}", subject)), None
                with suppress(RequestError):
                    body = stored.body if stored else b""
                    before = self._told.unsealed(body, site=site, station=name, hub=key.public)
                heard = before or self._document(self._kept(), name, None, 1)
                # Also after the broker's store was lost, and after two changes in a millisecond.
                least = next_revision(hub, subjects, self._told.KIND)
                revision = max(round(now_s * 1000), heard.revision + 1, least)
                document = self._document(wanted, name, known.group, revision)
                if document.model_copy(update={"revision": heard.revision}) != heard:
                    hub.publish(subject, document.sealed(key))
                    told.append(name)
        return told

    @abstractmethod
    def _document(self, wanted: Kept, station: str, group: str | None, revision: int) -> Told:
        """Return what one station is to hear."""

    def _keep(
        self,
        wanted: Mapping[str, object] | Release | None,
        *,
        station: str | None,
        group: str | None,
    ) -> None:
        """Keep what is wanted of all, of a group, or of one station, in place of what was.

        Raises:
            RequestError: there is no such station or group.
            ConfigError: the file is damaged.
            OSError: it cannot be kept.
        """
        with changing_alone(self._folder.root):
            before = self.wanted()
            is_listed = station in before.stations or group in before.groups
            if wanted or not is_listed:  # what is wanted of one that is gone can be removed
                self._refuse_unknown(station, group)
            changed: dict[str, object] = {"everywhere": wanted}
            if station is not None:
                changed = {"stations": _with_entry(before.stations, station, wanted or None)}
            elif group is not None:
                changed = {"groups": _with_entry(before.groups, group, wanted or None)}
            with rewriting(self._path, 0o600) as file:
                file.write(before.model_copy(update=changed).model_dump_json(indent=1).encode())

    def _refuse_unknown(self, station: str | None, group: str | None) -> None:
        known = self._folder.register().stations
        if station is not None and station not in known:
            raise RequestError(f"no station {station!r}", hint="spotter hub stations lists them")
        if group is not None and group not in {one.group for one in known.values()}:
            raise RequestError(f"no group {group!r}", hint="spotter hub group STATION NAME")


def _with_entry(table: Mapping[str, Any], name: str, entry: object) -> dict[str, Any]:
    """Return a table with another entry of a name, which comes last; None: with none."""
    others = {other: one for other, one in table.items() if other != name}
    return others if entry is None else {**others, name: entry}


class FleetSettings(_Fleet[PushedSettings, SettingsFragment]):
    """Changes which settings are wanted, and publishes them to the stations."""

    def __init__(self, site: SiteSettings, folder: HubFolder) -> None:
        super().__init__(site, folder, folder.wanted_settings, PushedSettings, SettingsFragment)

    def change(
        self, tables: Tables, *, station: str | None = None, group: str | None = None
    ) -> None:
        """Set tables in place of those before, for all, a group, or one station.

        Args:
            tables: what is wanted there; nothing at all: nothing is wanted any more.
            station: the only one; None: a group, or all.
            group: of stations.

        Raises:
            RequestError: there is no such station or group.
            ConfigError: no station could do what they say, or the file is damaged.
            OSError: it cannot be kept.
        """
        check_tables(tables)
        if len(json.dumps(tables)) > SettingsFragment.MOST_BYTES // 4:
            raise RequestError("no station would read so much")
        plain = {table: dict(values) for table, values in tables.items()}
        self._keep(plain, station=station, group=group)

    def _document(
        self, wanted: PushedSettings, station: str, group: str | None, revision: int
    ) -> SettingsFragment:
        return SettingsFragment(
            site=self._site.site,
            station=station,
            revision=revision,
            tables=wanted.of(station, group),
        )


class FleetReleases(_Fleet[WantedReleases, StationRelease]):
    """Changes which version is wanted, and publishes it to the stations."""

    def __init__(self, site: SiteSettings, folder: HubFolder) -> None:
        super().__init__(site, folder, folder.wanted_releases, WantedReleases, StationRelease)

    def change(
        self, release: Release | None, *, station: str | None = None, group: str | None = None
    ) -> None:
        """Want a version in place of the one before, of all, of a group, or of one station.

        Args, Raises: as for settings; None: nothing any more.
        """
        self._keep(release, station=station, group=group)

    def _document(
        self, wanted: WantedReleases, station: str, group: str | None, revision: int
    ) -> StationRelease:
        return StationRelease(
            site=self._site.site,
            station=station,
            revision=revision,
            release=wanted.of(station, group),
        )
