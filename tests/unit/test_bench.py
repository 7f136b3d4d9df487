"""What `make bench` times is there: it would notice only after some minutes."""

from tests.bench.profile import PARTS


def test_every_timed_part_of_the_analysis_exists() -> None:
    missing = [name for owner, name, _ in PARTS if not callable(getattr(owner, name, None))]

    assert PARTS and not missing
