"""What a station makes of settings that are said to be its hub's."""

from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.errors import ConfigError
from agent.facility.keys import FacilityKey, OrderReport
from agent.facility.membership import Membership
from agent.facility.orders import SettingsFragment, SettingsKeeper, Tables

_HUB, _OTHER = FacilityKey(bytes(32)), FacilityKey(bytes([1] * 32))
_MEMBER = Membership(
    address="hub:4222", site="gym-1", station="rack-1", certificate="", hub=_HUB.public
)


def _fragment(revision: int, unit: str = "lb") -> SettingsFragment:
    return SettingsFragment(
        site="gym-1", station="rack-1", revision=revision, tables={"web": {"unit": unit}}
    )


def test_only_a_newer_fragment_of_the_hub_counts_whatever_came_between(tmp_path: Path) -> None:
    reloads: list[int] = []
    refused: set[str] = {"impossible"}

    def check(tables: Tables) -> None:
        if tables["web"]["unit"] in refused:
            raise ConfigError("cannot be done here")

    def keeper() -> SettingsKeeper:
        return SettingsKeeper(
            StateFolder(tmp_path), _MEMBER, reload=lambda: reloads.append(1), check=check
        )

    station = keeper()
    station.hear(_fragment(2).sealed(_HUB))
    assert station.report == OrderReport(revision=2, state="applied") and len(reloads) == 1
    station.hear(_fragment(9, "kg").sealed(_OTHER))
    assert station.report.state == "refused" and "not signed by the hub" in str(station.report)
    station.hear(_fragment(1, "kg").sealed(_HUB))  # an old one, once more
    assert len(reloads) == 1 and keeper().report.revision == 2

    station.hear(_fragment(3, "impossible").sealed(_HUB))
    assert station.report == OrderReport(revision=3, state="refused", detail="cannot be done here")
    assert keeper().report == OrderReport(revision=2, state="applied")
    station.hear(_fragment(4, "kg").sealed(_HUB))
    assert keeper().report == OrderReport(revision=4, state="applied") and len(reloads) == 2


def test_settings_that_the_disk_did_not_take_are_tried_again(tmp_path: Path) -> None:
    state = tmp_path / "state"  # missing, as after a disk that was not mounted
    station = SettingsKeeper(
        StateFolder(state), _MEMBER, reload=lambda: None, check=lambda _tables: None
    )
    body = _fragment(2).sealed(_HUB)
    with pytest.raises(OSError, match="state"):
        station.hear(body)
    state.mkdir()
    station.hear(body)
    assert station.report == OrderReport(revision=2, state="applied")


@pytest.mark.parametrize(
    "body",
    [
        b'{"document": "\\ud800", "signature": "AAAA"}',  # half a character
        b'{"document": "{}", "signature": "\\udfff"}',
        b'{"document": ' + b"[" * 900 + b"]" * 900 + b', "signature": "AAAA"}',
        b"[]",
        b"\xff",
    ],
)
def test_what_is_no_document_is_refused_and_keeps_no_start_from_going_on(
    tmp_path: Path, body: bytes
) -> None:
    def keeper() -> SettingsKeeper:
        return SettingsKeeper(StateFolder(tmp_path), _MEMBER, reload=lambda: None)

    station = keeper()
    station.hear(body)
    assert station.report.state == "refused"

    (tmp_path / "hub-settings.json").write_bytes(body)  # as the folder's group might
    assert keeper().report.state == "none"
