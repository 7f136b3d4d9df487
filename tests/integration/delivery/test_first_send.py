"""The last look before a clip goes out."""

import hashlib
import io

import pytest

from agent.pulse import Pulses
from tests.integration.delivery.conftest import World


def test_a_large_clip_that_a_slow_card_reads_is_not_taken_for_a_stuck_stage(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = [0.0]
    pulses = Pulses(bound_s=120, clock=lambda: clock_s[0])
    pulses.begin("delivery")
    digest = hashlib.file_digest
    stuck: list[str] = []

    def read_slowly(file: io.BufferedReader, name: str) -> object:
        clock_s[0] += 120.5
        stuck.extend(pulses.stuck())
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", read_slowly)
    world.add(size_bytes=2_000_000)

    world.run()
    pulses.end("delivery")

    assert clock_s[0] > 0 and stuck == []
