"""A file that is here in part."""

from dataclasses import replace
from pathlib import Path

import pytest

from agent.api.downloads import RemoteFile
from agent.clock import Instant
from agent.disk.state_folder import note_of, part_of
from agent.results.videos import ResumableFile, drop_part
from tests.factories import instant

ORIGIN = RemoteFile(validator='"v1"', total_bytes=1000)
OTHER_BOOT = "7d6f7a3e-0000-4000-8000-000000000002"


def other_boot() -> Instant:
    return replace(instant(), boot_id=OTHER_BOOT)


@pytest.fixture
def final(tmp_path: Path) -> Path:
    return tmp_path / "k3x9q2m4pd.mp4"


def written(final: Path, *, origin: RemoteFile = ORIGIN, rests: bool = False) -> None:
    with ResumableFile(final, now=instant) as part:
        part.begin(origin)
        part.write(b"a" * 300)
        if rests:
            part.rest()
        part.write(b"b" * 100)


def test_what_a_kill_left_is_gone_on_with(final: Path) -> None:
    written(final)

    with ResumableFile(final, now=instant) as part:
        assert (part.have_bytes, part.origin) == (400, ORIGIN)
        part.write(b"c" * 10)
    assert part_of(final).read_bytes() == b"a" * 300 + b"b" * 100 + b"c" * 10


@pytest.mark.parametrize(("rests", "have"), [(True, 300), (False, 0)])
def test_after_another_boot_only_what_was_durable_counts(
    final: Path, rests: bool, have: int
) -> None:
    written(final, rests=rests)

    with ResumableFile(final, now=other_boot) as part:
        assert part.have_bytes == have
    assert part_of(final).stat().st_size == have


@pytest.mark.parametrize("note", ["", "[1]", '{"validator": 1}', "\x00" * 80])
def test_a_part_of_nobody_knows_what_begins_anew(final: Path, note: str) -> None:
    written(final)
    note_of(final).write_text(note)

    with ResumableFile(final, now=instant) as part:
        assert (part.have_bytes, part.origin) == (0, None)


def test_a_part_that_cannot_be_recognised_begins_anew(final: Path) -> None:
    written(final, origin=RemoteFile(total_bytes=1000))

    with ResumableFile(final, now=instant) as part:
        assert part.have_bytes == 0


def test_what_is_dropped_leaves_nothing(final: Path) -> None:
    written(final)

    drop_part(final)

    assert list(final.parent.iterdir()) == []
