"""A sandbox and a station, as for the integration tests."""

from tests.integration.conftest import sandbox, station

__all__ = ["sandbox", "station"]
