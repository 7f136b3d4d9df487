"""The command `worker`."""

import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

import click

from agent.cli.care import report_findings
from agent.cli.common import WholeNumber, print_answer, standard_options
from agent.clipping.analysis_process import ChildLimits
from agent.disk.state_folder import StateFolder, StateFolderLock, acting_as_owner
from agent.doctor.facility import WORKER_STATE, WORKER_UNIT, worker_rounds
from agent.doctor.service import ask_systemd
from agent.errors import ConfigError, RequestError
from agent.facility.joining import join_as_worker
from agent.facility.membership import Invitation, read_membership
from agent.facility.worker import AnalysisWorker
from agent.logs import configure_logs
from agent.stage import StopFlag


@click.command()
@click.option(
    "--join",
    "link",
    metavar="LINK",
    help="Join a facility by the LINK of spotter hub invite --worker, and end.  "
    '"-": from standard input.',
)
@click.option("--check", is_flag=True, help="Only check this worker, and say how to fix problems.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=WORKER_STATE,
    show_default=True,
    help="The worker's key, and the recording that it analyses.",
)
@click.option(
    "--memory",
    "memory_mb",
    type=WholeNumber(400, 64_000),
    default=1500,
    show_default=True,
    metavar="MB",
    help="An analysis that uses more is stopped.",
)
@standard_options
def worker(
    link: str | None,
    check: bool,
    state: Path,
    memory_mb: int,
    config: Path | None,  # noqa: ARG001  # every command takes it; a worker has a station's options
    as_json: bool,
) -> None:
    """Analyse recordings for the stations of a facility.

    Runs in the foreground until SIGTERM or Ctrl-C.  A machine may run several workers, each with a
    state folder of its own.  Stations whose analysis.offload allows it offer recordings; what no
    worker analyses in time, the station analyses itself.  See docs/facility-manage.md
    """
    if check:
        report_findings(worker_rounds(state.absolute()), as_json=as_json)
        return
    if link is not None:
        invitation = Invitation.of(sys.stdin.readline() if link == "-" else link)
        with acting_as_owner(state) if state.exists() else nullcontext():
            member = join_as_worker(_prepared(state), invitation)
        document = {"site": member.site, "worker": member.station, "hub": member.address}
        words = f"joined {member.site} as worker {member.station}, hub {member.address}"
        print_answer(document, f"{words}\nTo start it: {_start(state)}", as_json=as_json)
        return
    folder = _prepared(state)
    known = read_membership(folder)
    if known is None:
        raise RequestError(
            "this worker belongs to no facility",
            hint="on the hub: spotter hub invite --worker NAME; then here: "
            "spotter worker --join LINK",
        )
    configure_logs("info")
    lock = StateFolderLock(folder)
    lock.take()
    stop = StopFlag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        AnalysisWorker(
            folder, known, limits=ChildLimits(memory_bytes=memory_mb << 20), stop=stop
        ).run()
    finally:
        lock.release()


def _start(state: Path) -> str:
    if state == WORKER_STATE and ask_systemd(WORKER_UNIT).get("LoadState") == "loaded":
        return f"sudo systemctl enable --now {WORKER_UNIT}"
    return f"spotter worker --state {state}"


def _prepared(state: Path) -> StateFolder:
    """Return the worker's folder, for its owner only.

    Raises:
        ConfigError: it cannot be made.
    """
    os.umask(0o077)
    try:
        state.mkdir(parents=True, exist_ok=True)
        if not os.access(state, os.W_OK):
            raise PermissionError(13, "permission denied", str(state))
    except OSError as error:
        raise ConfigError(
            f"{state}: {error.strerror}", hint="use sudo, or another folder: --state DIR"
        ) from None
    return StateFolder(state.absolute())
