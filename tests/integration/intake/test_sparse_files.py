"""Files that are mostly holes are told from those that are not."""

from pathlib import Path

import pytest

from agent.intake.stability import reject_sparse

GIB = 1 << 30


@pytest.mark.parametrize("written_at", [None, 0, 6 * GIB, 10 * GIB - 1])
def test_a_file_with_more_holes_than_anybody_would_read_is_refused(
    tmp_path: Path, written_at: int | None
) -> None:
    path = tmp_path / "set.mp4"
    with path.open("wb") as file:
        file.truncate(10 * GIB)
        if written_at is not None:
            file.seek(written_at)
            file.write(b"v")

    with pytest.raises(OSError, match="mostly sparse"):
        reject_sparse(path)


@pytest.mark.parametrize("holes_bytes", [0, 4096, 4 * GIB])
def test_a_few_holes_are_no_reason(tmp_path: Path, holes_bytes: int) -> None:
    path = tmp_path / "set.mp4"
    with path.open("wb") as file:
        file.write(bytes(100))
        file.truncate(100 + holes_bytes)

    reject_sparse(path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to("/etc/hostname")

    with pytest.raises(OSError, match="link"):
        reject_sparse(tmp_path / "link.mp4")
