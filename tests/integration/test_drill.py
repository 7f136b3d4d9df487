"""`spotter drill`: the rehearsable faults, with the real daemon, as an installer runs them."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from agent.drill.card import run_drill
from agent.drill.faults import REHEARSALS, Rehearsal
from agent.drill.ground import DrillGround, hold
from tests.station import run_spotter


def scratch_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("spotter-drill-*"))


@pytest.mark.timeout(180)
def test_every_rehearsed_fault_holds_without_a_station_and_leaves_nothing_behind() -> None:
    before = scratch_folders()

    done = run_spotter(["drill", "--json"])

    card = json.loads(done.stdout)
    assert done.returncode == 0, [line for line in card["faults"] if not line["held"]]
    assert card["held"] and card["seconds"] < 120
    names = [line["name"] for line in card["faults"]]
    assert names == ["set_up", *(rehearsal.name for rehearsal in REHEARSALS), "books"]
    assert all(line["done"] and line["holds"] for line in card["faults"])
    assert scratch_folders() <= before


def test_what_does_not_hold_is_told_and_its_folder_is_kept() -> None:
    def fail(drill: DrillGround) -> None:
        drill.end()
        hold(2 > 3, "two is more than three")

    begun: list[str] = []
    broken = Rehearsal("broken", "something is done", "It holds", fail)

    card = run_drill(lambda it: begun.append(it.name), lambda _: None, rehearsals=[broken])

    assert begun == ["set_up", "broken", "books"]
    assert [line.held for line in card.lines] == [True, False, True]
    assert card.lines[1].detail == "not so: two is more than three"
    assert not card.held and card.folder is not None
    assert "event=running" in (card.folder / "daemon.log").read_text()
    shutil.rmtree(card.folder)
