"""The disk refuses at the very moment at which the API's answer is to be put on record."""

import resource

from agent.disk.state_folder import LEDGER_NAME
from agent.sandbox.server import Sandbox
from tests.station import KEY, Station, delivered, until


def test_an_answer_that_the_disk_would_not_take_is_put_on_record_later(
    station: Station, sandbox: Sandbox
) -> None:
    station.key_file.write_text("")
    station.put_clip()
    sandbox.add_fault("hide-list*always")  # nothing but the answer tells
    with station.running() as daemon:
        unlimited = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)

        def refuse(line: str) -> None:
            if line.startswith("session"):
                most = (station.state / LEDGER_NAME).stat().st_size
                resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (most, unlimited[1]))

        sandbox.book.on_change = refuse
        before = station.log.read_text().count("level=error")
        station.key_file.write_text(KEY)
        station.spotter("assign", "--clear")
        assert delivered(sandbox, 1)
        until(lambda: station.log.read_text().count("level=error") > before)
        assert station.states() == ["uploading"]

        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, unlimited)
        station.spotter("assign", "--clear")
        until(lambda: station.states() == ["uploaded"])
    assert len(sandbox.book.sessions) == 1
