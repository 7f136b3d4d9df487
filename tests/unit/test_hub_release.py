"""The version that a hub wants: which station wants what, and what a station keeps of it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.disk.state_folder import StateFolder
from agent.facility.keys import FacilityKey
from agent.facility.membership import Membership
from agent.facility.orders import Release, ReleaseKeeper, StationPlan, StationRelease
from agent.hub.fleet_settings import WantedReleases
from tests.unit.test_update import update

_HUB, _OTHER = FacilityKey(bytes(32)), FacilityKey(bytes([1] * 32))
_MEMBER = Membership(
    address="hub:4222", site="gym-1", station="rack-1", certificate="", hub=_HUB.public
)


def _told(revision: int, version: str = "0.2.0", *, station: str = "rack-1") -> StationRelease:
    release = Release(version=version)
    return StationRelease(site="gym-1", station=station, revision=revision, release=release)


def test_only_a_newer_document_of_the_hub_is_kept_for_the_update(tmp_path: Path) -> None:
    def keeper() -> ReleaseKeeper:
        return ReleaseKeeper(StateFolder(tmp_path), _MEMBER)

    path = tmp_path / "hub-release.json"
    station = keeper()
    assert station.document()["state"] == "none" and update.read_wanted(path) is None
    station.hear(_told(5).sealed(_HUB))
    kept = {"revision": 5, "state": "applied", "detail": None, "version": "0.2.0"}
    assert station.document() == {**kept, "hold": False, "not_before": None}
    assert update.read_wanted(path) == update.Wanted("0.2.0")
    for body, why in (
        (_told(9, "0.3.0").sealed(_OTHER), "not signed by the hub"),
        (_told(9, "0.3.0", station="rack-2").sealed(_HUB), "another station"),
        (b"rubbish", "cannot be read"),
    ):
        station.hear(body)
        assert station.document()["state"] == "refused" and why in str(station.document())
        assert station.document()["version"] == "0.2.0"
    again = keeper()
    again.hear(_told(4, "0.3.0").sealed(_HUB))  # an old one, once more
    assert again.document() == {**kept, "hold": False, "not_before": None}
    path.write_bytes(_told(9, "0.3.0").sealed(_OTHER))  # as the folder's group might
    damaged = keeper()
    assert damaged.document()["state"] == "none"
    damaged.hear(_told(5).sealed(_HUB))  # the hub's own replaces it
    assert update.read_wanted(path) == update.Wanted("0.2.0")


def test_a_document_that_others_removed_or_opened_to_themselves_is_written_again(
    tmp_path: Path,
) -> None:
    station, path = ReleaseKeeper(StateFolder(tmp_path), _MEMBER), tmp_path / "hub-release.json"
    body = _told(5).sealed(_HUB)
    station.hear(body)
    path.unlink()
    station.hear(body)
    assert update.read_wanted(path) == update.Wanted("0.2.0")
    path.chmod(0o666)
    station.hear(body)
    assert update.read_wanted(path) == update.Wanted("0.2.0")
    again = ReleaseKeeper(StateFolder(tmp_path), _MEMBER)
    path.chmod(0o666)
    again.hear(body)
    assert update.read_wanted(path) == update.Wanted("0.2.0")


def test_another_document_of_the_hub_is_refused(tmp_path: Path) -> None:
    plan = StationPlan(
        site="gym-1",
        station="rack-1",
        revision=1,
        issued_at=0.0,
        not_before=0.0,
        expires_at=1.0,
        turns=(),
    )
    station = ReleaseKeeper(StateFolder(tmp_path), _MEMBER)
    station.hear(plan.sealed(_HUB))
    assert station.document()["state"] == "refused"
    assert not list(tmp_path.iterdir())


def test_what_is_closer_to_a_station_goes_before() -> None:
    wanted = WantedReleases(
        everywhere=Release(version="0.2.0"),
        groups={"Hall": Release(version="0.3.0", not_before=0.0)},
        stations={"rack-1": Release(hold=True)},
    )
    assert wanted.of("rack-1", "Hall") == Release(hold=True)
    assert wanted.of("rack-2", "Hall").version == "0.3.0"
    assert wanted.of("rack-3", None).version == "0.2.0"
    assert WantedReleases().of("rack-1", "Hall") == Release()
    assert wanted.lines() == [
        "all stations: 0.2.0",
        "group Hall: 0.3.0, not before 1970-01-01T00:00:00Z",
        "rack-1: install no version",
    ]


@pytest.mark.parametrize(
    "words",
    [
        {"version": "--help"},
        {"version": "0.2.0 "},
        {"version": "0.2.0\n"},
        {"version": ""},
        {"version": "0.2.0", "hold": True},
        {"not_before": 5.0},
        {"version": "0.2.0", "not_before": float("nan")},
    ],
)
def test_what_no_station_could_do_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Release.model_validate(words)
