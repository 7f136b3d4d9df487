"""Changes of a hub's files by several commands at once: none undoes another."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.facility.keys import FacilityKey
from agent.facility.orders import Release
from agent.hub.fleet_settings import FleetReleases
from agent.hub.folder import HubFolder, KnownStation, Register
from agent.hub.planning import HubAthlete, HubRoster
from agent.hub.settings import SiteSettings

_AT_ONCE = 16


def at_once(changes: Sequence[Callable[[], object]]) -> None:
    """Make changes in threads of their own that begin together; each has opened its own files."""
    start = threading.Barrier(len(changes))

    def make(change: Callable[[], object]) -> None:
        start.wait()
        change()

    threads = [threading.Thread(target=make, args=(change,)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_athletes_who_are_imported_at_once_are_all_there_and_removed_ones_stay_away(
    tmp_path: Path,
) -> None:
    path = tmp_path / "roster.json"
    gone = [HubAthlete(user_id=f"gone-{n}", name="G") for n in range(_AT_ONCE)]
    HubRoster(path).change(gone, replace=False)

    def added(number: int) -> Callable[[], object]:
        athlete = HubAthlete(user_id=f"new-{number}", name="N")
        return lambda: HubRoster(path).change([athlete], replace=False)

    def removed(number: int) -> Callable[[], object]:
        return lambda: HubRoster(path).remove(f"gone-{number}")

    at_once([make(n) for n in range(_AT_ONCE) for make in (added, removed)])

    assert set(HubRoster(path).athletes()) == {f"new-{n}" for n in range(_AT_ONCE)}


def test_versions_that_are_wanted_at_once_are_all_kept(tmp_path: Path) -> None:
    site, folder = SiteSettings(site="gym-1", state=tmp_path), HubFolder(tmp_path)
    names = [f"rack-{n}" for n in range(_AT_ONCE)]
    key = FacilityKey(bytes(32)).public
    folder.change(lambda _: Register(stations={n: KnownStation(key=key, since=0.0) for n in names}))

    def wanted(name: str) -> Callable[[], object]:
        return lambda: FleetReleases(site, folder).change(Release(version="0.3.0"), station=name)

    at_once([wanted(name) for name in names])

    assert sorted(FleetReleases(site, folder).wanted().stations) == sorted(names)
