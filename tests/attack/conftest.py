"""What the attacks share."""

from collections.abc import Iterator

import pytest

from agent.sandbox.server import Sandbox
from tests.attack.users import Town, need_users, town
from tests.station import KEY


@pytest.fixture
def place() -> Iterator[Town]:
    """A station with one clip that waits."""
    need_users()
    with Sandbox(key=KEY, processing_s=0.0) as sandbox, town(sandbox) as found:
        yield found
