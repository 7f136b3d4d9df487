"""`spotter drill`: the rehearsable faults, with the real daemon, as an installer runs them."""

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.demo import drill
from agent.drill import REHEARSALS, DrillEnvironment, Scenario, hold, run_drill
from tests.station import run_spotter


def scratch_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("spotter-drill-*"))


@pytest.mark.soak
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


@pytest.fixture
def _signals() -> Iterator[None]:
    """Undo what the command does to this process's signals."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_signals")
def test_what_holds_and_what_does_not_is_told_and_the_folder_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(drill: DrillEnvironment) -> None:
        drill.end()
        hold(2 > 3, "two is more than three")

    real = {rehearsal.name: rehearsal for rehearsal in REHEARSALS}
    broken = Scenario("broken", "something is done", "It holds", fail)
    # Also those that read what a person is told, whose words change more often than what holds.
    read = [real[name] for name in ("too_large", "one_refused", "strange_certificate")]
    some = [real["connection_cut"], *read, broken, real["answer_lost"]]
    monkeypatch.setattr("agent.cli.demo.run_drill", partial(run_drill, rehearsals=some))

    done = CliRunner().invoke(drill, ["--json"])

    assert done.exit_code == 1
    assert "fault-injection self-tests failed" in done.stderr
    card = json.loads(done.stdout)
    told = {line["name"]: (line["held"], line["detail"]) for line in card["faults"]}
    assert told == {
        "set_up": (True, None),
        "connection_cut": (True, None),
        "too_large": (True, None),
        "one_refused": (True, None),
        "strange_certificate": (True, None),
        "broken": (False, "not so: two is more than three"),
        "answer_lost": (True, None),
        "books": (True, None),
    }
    assert not card["held"]
    assert 'event="daemon started"' in Path(card["folder"], "daemon.log").read_text()
    shutil.rmtree(card["folder"])


def test_a_drill_that_is_broken_off_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def press_ctrl_c(_drill: DrillEnvironment) -> None:
        raise KeyboardInterrupt

    broken_off = Scenario("broken_off", "Ctrl-C", "It ends", press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        run_drill(lambda _begun: None, lambda _line: None, rehearsals=[broken_off])

    assert list(tmp_path.iterdir()) == []
