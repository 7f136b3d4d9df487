"""The version that the hub wants of its stations: for all, for a group, for one.

As with settings, what is closer to a station goes before what is for many.
"""

from pydantic import BaseModel, ConfigDict, Field

from agent.disk.state_folder import rewriting
from agent.facility.release import Release, StationRelease
from agent.hub.fleet_settings import publish_wanted, read_wanted, refuse_unknown, with_entry
from agent.hub.folder import HubFolder, KnownStation
from agent.hub.settings import SiteSettings


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
        before = self.wanted()
        is_listed = station in before.stations or group in before.groups
        if (
            release is not None or not is_listed
        ):  # what is wanted of one that is gone can be removed
            refuse_unknown(self._folder.register(), station=station, group=group)
        if station is not None:
            after = before.model_copy(
                update={"stations": with_entry(before.stations, station, release)}
            )
        elif group is not None:
            after = before.model_copy(update={"groups": with_entry(before.groups, group, release)})
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
