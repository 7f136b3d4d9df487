"""The version that the hub wants of its stations: for all, for a group, for one.

As with settings, what is closer to a station goes before what is for many.
"""

from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.disk.state_folder import open_plain, rewriting
from agent.errors import ConfigError, RequestError
from agent.facility.release import Release, StationRelease
from agent.hub.fleet_settings import publish_wanted, refuse_unknown
from agent.hub.folder import HubFolder, KnownStation
from agent.hub.settings import SiteSettings

_MOST_FILE_BYTES = 1 << 22


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
    """Changes which version is wanted, and tells the stations."""

    def __init__(self, site: SiteSettings, folder: HubFolder) -> None:
        self._site = site
        self._folder = folder
        self._key = folder.key()

    def wanted(self) -> WantedReleases:
        """Return what is wanted.

        Raises:
            ConfigError: the file is damaged.
        """
        return _read(self._folder.wanted_releases)

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
        before = self.wanted()
        is_listed = station in before.stations or group in before.groups
        if (
            release is not None or not is_listed
        ):  # what is wanted of one that is gone can be removed
            refuse_unknown(self._folder.register(), station=station, group=group)
        if station is not None:
            after = before.model_copy(
                update={"stations": _changed(before.stations, station, release)}
            )
        elif group is not None:
            after = before.model_copy(update={"groups": _changed(before.groups, group, release)})
        else:
            after = before.model_copy(update={"everywhere": release})
        with rewriting(self._folder.wanted_releases, 0o600) as file:
            file.write(after.model_dump_json(indent=1).encode())

    def tell(self, *, now_s: float) -> list[str]:
        """Tell the stations what is wanted; return those for which it is news.

        Raises:
            NotifyError: the broker cannot be reached: they hear of it when the hub starts.
            ConfigError: the file of what is wanted is damaged.
        """
        after = self.wanted()

        def next_of(station: str, known: KnownStation, stored: bytes) -> StationRelease | None:
            return self._next(station, after.of(station, known.group), stored, now_s=now_s)

        return publish_wanted(self._site, self._folder, StationRelease.KIND, next_of)

    def _next(
        self, station: str, release: Release, stored: bytes, *, now_s: float
    ) -> StationRelease | None:
        """Return the document that a station is to hear; None where it has heard it."""
        before = None
        with suppress(RequestError):
            before = StationRelease.unsealed(
                stored, site=self._site.site, station=station, hub=self._key.public
            )
        if release == (Release() if before is None else before.release):
            return None
        return StationRelease(
            site=self._site.site,
            station=station,
            # Also after the broker's store was lost, and after two changes in a millisecond.
            revision=max(round(now_s * 1000), 0 if before is None else before.revision + 1),
            release=release,
        )


def _changed(table: dict[str, Release], name: str, release: Release | None) -> dict[str, Release]:
    others = {other: one for other, one in table.items() if other != name}
    return others if release is None else {**others, name: release}


def _read(path: Path) -> WantedReleases:
    try:
        with open_plain(path) as file:
            return WantedReleases.model_validate_json(file.read(_MOST_FILE_BYTES))
    except FileNotFoundError:
        return WantedReleases()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="use sudo") from None
    except ValidationError:
        raise ConfigError(f"{path} is damaged", hint="restore it from a backup") from None
