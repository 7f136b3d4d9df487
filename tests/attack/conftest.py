"""What the attacks share."""

from collections.abc import Iterator

import pytest

from agent.sandbox.server import Sandbox
from tests.attack.users import Town, need_users, town
from tests.station import KEY


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A stand-in API."""
    with Sandbox(key=KEY, processing_s=0.0) as running:
        yield running


@pytest.fixture
def place(sandbox: Sandbox) -> Iterator[Town]:
    """A station with one clip that waits."""
    need_users()
    with town(sandbox) as found:
        yield found
