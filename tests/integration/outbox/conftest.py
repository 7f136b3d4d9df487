"""A real outbox in a real file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.outbox.outbox import Outbox


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """An empty outbox."""
    with Outbox.open(tmp_path) as opened:
        yield opened
