"""What the hub wants of its stations, settings and version: for all, for a group, for one.

What is more specific to a station takes precedence.  Each station gets one whole fragment of
settings, signed, with a revision of its own; and so with the version.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.disk.state_folder import open_plain, rewriting
from agent.errors import ConfigError, RequestError
from agent.facility.broker import HubConnection
from agent.facility.membership import DESIRED, Subjects
from agent.facility.orders import (
    Release,
    SettingsFragment,
    StationRelease,
    Tables,
)
from agent.hub.folder import HubFolder, KnownStation, Register
from agent.hub.server import hub_access
from agent.hub.settings import SiteSettings
from agent.settings.load import check_tables, toml_value

_MOST_FILE_BYTES = 1 << 22

Wanted = TypeVar("Wanted", SettingsFragment, StationRelease)
Kept = TypeVar("Kept", bound=BaseModel)
Entry = TypeVar("Entry")


class PushedSettings(BaseModel):
    """What is wanted, as it is kept."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    everywhere: dict[str, dict[str, Any]] = Field(default_factory=dict)
    groups: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    stations: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)

    def of(self, station: str, group: str | None) -> Tables:
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


class FleetSettings:
    """Changes what is wanted, and publishes it to the stations."""

    def __init__(self, site: SiteSettings, folder: HubFolder) -> None:
        self._site = site
        self._folder = folder

    def wanted(self) -> PushedSettings:
        """Return what is wanted.

        Raises:
            ConfigError: the file is damaged.
        """
        return read_wanted(self._folder.wanted_settings, PushedSettings)

    def change(
        self,
        tables: Tables,
        *,
        station: str | None = None,
        group: str | None = None,
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
        path = self._folder.wanted_settings
        _keep(self._folder, path, self.wanted(), plain, station=station, group=group)

    def tell(self, *, now_s: float) -> list[str]:
        """Publish to the stations what is wanted; return those for which it is news.

        Raises:
            NotifyError: the broker cannot be reached: they hear of it when the hub starts.
            ConfigError: the file of what is wanted is damaged.
        """
        after = self.wanted()

        def next_of(
            station: str, known: KnownStation, before: SettingsFragment | None, revision: int
        ) -> SettingsFragment | None:
            tables = after.of(station, known.group)
            if tables == ({} if before is None else before.tables):
                return None
            return SettingsFragment(
                site=self._site.site,
                station=station,
                revision=revision,
                tables={table: dict(values) for table, values in tables.items()},
            )

        return publish_wanted(self._site, self._folder, SettingsFragment, next_of, now_s=now_s)


def refuse_unknown(register: Register, *, station: str | None, group: str | None) -> None:
    """See that a station, or a group, is there.

    Raises:
        RequestError: it is not.
    """
    if station is not None and station not in register.stations:
        raise RequestError(f"no station {station!r}", hint="spotter hub stations lists them")
    if group is not None and group not in {one.group for one in register.stations.values()}:
        raise RequestError(f"no group {group!r}", hint="spotter hub group STATION NAME")


def publish_wanted(
    site: SiteSettings,
    folder: HubFolder,
    kind: type[Wanted],
    next_of: Callable[[str, KnownStation, Wanted | None, int], Wanted | None],
    *,
    now_s: float,
) -> list[str]:
    """Publish to every station what is wanted of it; return those for which it is news.

    Args:
        site: of the hub.
        folder: of the hub.
        kind: of document.
        next_of: returns what a station is to hear, given what it heard before and the next
            revision; None where it has heard it.
        now_s: Unix time.

    Raises:
        NotifyError: the broker cannot be reached.
    """
    key, told = folder.key(), []
    with closing(HubConnection(hub_access(site.listen, folder, key))) as hub:
        hub.open()
        for name, known in folder.register().stations.items():
            subjects = Subjects(site=site.site, station=name)
            subject = f"$KV.{DESIRED}.{subjects.place}.{kind.KIND}"
            stored, before = hub.stored(subjects.last(f"KV_{DESIRED}", subject)), None
            with suppress(RequestError):
                body = stored.body if stored else b""
                before = kind.unsealed(body, site=site.site, station=name, hub=key.public)
            # Also after the broker's store was lost, and after two changes in a millisecond.
            revision = max(round(now_s * 1000), 0 if before is None else before.revision + 1)
            document = next_of(name, known, before, revision)
            if document is not None:
                hub.publish(subject, document.sealed(key))
                told.append(name)
    return told


def _keep(
    folder: HubFolder,
    path: Path,
    before: "PushedSettings | WantedReleases",
    wanted: Mapping[str, object] | Release | None,
    *,
    station: str | None,
    group: str | None,
) -> None:
    """Keep what is wanted of all, of a group, or of one station, in place of what was.

    Raises:
        RequestError: there is no such station or group.
        OSError: it cannot be kept.
    """
    groups: Mapping[str, object] = before.groups
    stations: Mapping[str, object] = before.stations
    is_listed = station in stations or group in groups
    if wanted or not is_listed:  # what is wanted of one that is gone can be removed
        refuse_unknown(folder.register(), station=station, group=group)
    changed: dict[str, object] = {"everywhere": wanted}
    if station is not None:
        changed = {"stations": _with_entry(stations, station, wanted or None)}
    elif group is not None:
        changed = {"groups": _with_entry(groups, group, wanted or None)}
    with rewriting(path, 0o600) as file:
        file.write(before.model_copy(update=changed).model_dump_json(indent=1).encode())


def _with_entry(table: Mapping[str, Entry], name: str, entry: Entry | None) -> dict[str, Entry]:
    """Return a table with another entry of a name, which comes last; None: with none."""
    others = {other: one for other, one in table.items() if other != name}
    return others if entry is None else {**others, name: entry}


def read_wanted(path: Path, model: type[Kept]) -> Kept:
    """Read what is wanted; nothing is, where there is no file.

    Raises:
        ConfigError: it may not be read, or is damaged.
    """
    try:
        with open_plain(path) as file:
            return model.model_validate_json(file.read(_MOST_FILE_BYTES))
    except FileNotFoundError:
        return model()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="use sudo") from None
    except ValidationError:
        raise ConfigError(f"{path} is damaged", hint="restore it from a backup") from None


class WantedReleases(BaseModel):
    """What is wanted, as it is kept."""

    model_config = ConfigDict(extra="ignore", frozen=True)

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


class FleetReleases:
    """Changes which version is wanted, and publishes it to the stations."""

    def __init__(self, site: SiteSettings, folder: HubFolder) -> None:
        self._site = site
        self._folder = folder

    def wanted(self) -> WantedReleases:
        """Return what is wanted.

        Raises:
            ConfigError: the file is damaged.
        """
        return read_wanted(self._folder.wanted_releases, WantedReleases)

    def change(
        self, release: Release | None, *, station: str | None = None, group: str | None = None
    ) -> None:
        """Want a version in place of the one before, of all, of a group, or of one station.

        Args:
            release: what is wanted there; None: nothing any more.
            station: the only one; None: a group, or all.
            group: of stations.

        Raises:
            RequestError: there is no such station or group.
            ConfigError: the file is damaged.
            OSError: it cannot be kept.
        """
        path = self._folder.wanted_releases
        _keep(self._folder, path, self.wanted(), release, station=station, group=group)

    def tell(self, *, now_s: float) -> list[str]:
        """Publish to the stations what is wanted; return those for which it is news.

        Raises:
            NotifyError: the broker cannot be reached: they hear of it when the hub starts.
            ConfigError: the file of what is wanted is damaged.
        """
        after = self.wanted()

        def next_of(
            station: str, known: KnownStation, before: StationRelease | None, revision: int
        ) -> StationRelease | None:
            release = after.of(station, known.group)
            if release == (Release() if before is None else before.release):
                return None
            return StationRelease(
                site=self._site.site, station=station, revision=revision, release=release
            )

        return publish_wanted(self._site, self._folder, StationRelease, next_of, now_s=now_s)
