"""Names from the database: whoever writes rows must not lead Spotter out of its folders."""

import sqlite3
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.outbox.consistency import audit
from agent.outbox.outbox import Outbox
from agent.text import NOT_PLAIN, plain_name
from tests.factories import ready_entry


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "/etc/passwd", "../clip.mp4", "a/b.mp4", "a/", ".hidden.mp4", "clip.json"),
        *("a\0.mp4", "a\n.mp4", "x" * 256, "é" * 128, "\udcff.mp4", None, 7.5e3),
    ],
)
def test_what_may_lead_elsewhere_is_a_name_that_leads_nowhere(name: object) -> None:
    expected = "7500.0" if name == 7.5e3 else "None" if name is None else NOT_PLAIN

    assert plain_name(name) == expected
    assert "/" not in plain_name(name)


@pytest.mark.parametrize("name", ["k3x9q2m4pd", "k3x9q2m4pd.mp4", f"{7:064x}.m2ts", NOT_PLAIN])
def test_a_name_of_ours_stays_as_it_is(name: str) -> None:
    assert plain_name(name) == name


def test_rows_with_paths_lead_nowhere_and_the_audit_names_them(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    folder.prepare()
    with Outbox.open(folder.root) as outbox:
        ready_entry(outbox)
    with sqlite3.connect(folder.root / "outbox.db") as other:
        for table in ("entry", "capture"):
            other.execute(f"UPDATE {table} SET stored_name = '../../x.mp4'")  # noqa: S608
        other.execute("UPDATE entry SET clip_code = '../../x'")
    other.close()

    with Outbox.open(folder.root) as outbox:
        entry, capture = outbox.entries.by_id(1), outbox.captures.by_id(1)
        on_disk = [*outbox.files.captures(), *outbox.files.clips()]
    assert entry is not None and capture is not None
    names = {entry.stored_name, entry.clip_code, capture.stored_name}
    names.update(one.stored_name for one in on_disk)
    assert names == {NOT_PLAIN}
    rules = audit(folder.root).broken_rules
    assert sorted(rules["a file's name that is a path"]) == ["c1", "e1"]
    for place in (*folder.pictures_of("../x"), *folder.result_files("../x")):
        assert place.parent in folder.places
