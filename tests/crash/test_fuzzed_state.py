"""Fuzzed databases, ledgers, sidecars and stray entries: nothing lost, doubled, or sent unasked."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.sandbox.server import Sandbox
from tests.crash.fuzz import Fuzz, forget
from tests.station import KEY, Station

CASES = 500
SHORT = 4
START_WITHIN_S = 20.0
BUSY_S = 40.0  # more, in the suite, on a machine that does other things as well


@pytest.fixture
def fuzz(tmp_path: Path) -> Iterator[Fuzz]:
    """A station that was lived in."""
    with Sandbox(key=KEY, processing_s=0.0) as sandbox:
        station = Station(tmp_path, sandbox.base_url)
        yield Fuzz(station, sandbox)
        forget(station)


@pytest.mark.timeout(600)
def test_some_fuzzed_state_folders_lose_double_and_leak_nothing(fuzz: Fuzz) -> None:
    for seed in range(SHORT):
        fuzz.run(seed)

    assert not fuzz.outcome.faults, fuzz.outcome
    assert fuzz.outcome.slowest_start_s < START_WITHIN_S + BUSY_S


@pytest.mark.soak
def test_fuzzed_state_folders_lose_double_and_leak_nothing(
    fuzz: Fuzz, summary: Callable[[str], None]
) -> None:
    first = random.SystemRandom().randrange(10**6)
    summary(f"fuzzed state folders: seeds {first} to {first + CASES - 1}")
    for seed in range(first, first + CASES):
        fuzz.run(seed)
    summary(str(fuzz.outcome))

    assert not fuzz.outcome.faults, fuzz.outcome
    assert fuzz.outcome.slowest_start_s < START_WITHIN_S
