"""The command `camera`."""

import errno
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from agent.cli.common import config_option, print_answer, refusals_of, settings_of, standard_options
from agent.clipping.analysis_process import check_framing
from agent.disk.state_folder import StateFolder
from agent.doctor.folders import may_look
from agent.errors import AnalysisError, RequestError
from agent.exercises import ACTIVITIES
from agent.settings import Settings
from agent.station.assignments import state_folder
from agent.station.recorders import RecorderSight, ask_for_recorders, ask_for_still


@click.group(invoke_without_command=True)
@standard_options
@click.pass_context
def camera(ctx: click.Context, config: Path | None, as_json: bool) -> None:
    """Show what each recorder of the station does.

    The running daemon is asked; a camera program of another kind is not listed (spotter status
    says what it recorded).  Exit code 1: a camera is lost, or its recordings cannot be stored.
    """
    if ctx.invoked_subcommand is not None:
        return
    folder = state_folder(settings_of(config))
    _refuse_closed(folder)
    sights = ask_for_recorders(folder.recorder_socket)
    words = "\n".join(map(_line, sights)) or "no recorder reports to this station's daemon"
    print_answer([_document(sight) for sight in sights], words, as_json=as_json)
    if any(sight.fault is not None for sight in sights):
        sys.exit(1)


def _refuse_closed(folder: StateFolder) -> None:
    """See that this user may ask the daemon: else it would seem to know of no recorder.

    Raises:
        ConfigError: another user's folder or socket.
    """
    socket = folder.recorder_socket
    if not may_look(folder.root) or (socket.exists() and not os.access(socket, os.W_OK)):
        raise folder.refusal(PermissionError(errno.EACCES, "Permission denied"), folder.root)


def _document(sight: RecorderSight) -> dict[str, object]:
    return {
        **sight.report.message(),
        "running": not sight.is_silent,
        "fault": sight.fault,
        "trouble": sight.trouble,
        "reported_s_ago": round(sight.silent_s, 1),
    }


def _line(sight: RecorderSight) -> str:
    report = sight.report
    if sight.fault is not None:
        return f"{report.camera:12} {sight.fault}"
    armed = "disarmed" if report.armed_by is None else f"armed ({report.armed_by})"
    picture = f"{report.codec} {report.width}x{report.height}, {report.fps:.1f} fps"
    rate = f"{report.kbit_s:.0f} kbit/s, a keyframe every {report.keyframe_s:.1f} s"
    ring = f"{report.ring_s:.1f} s in memory"
    return f"{report.camera:12} {report.state}, {armed}; {picture}, {rate}; {ring}"


@camera.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@click.option("--camera", "name", metavar="NAME", help="Which camera.  [default: the only one]")
@config_option
def snapshot(file: Path, name: str | None, config: Path | None) -> None:
    """Save the current camera picture to FILE, as JPEG."""
    picture = _seen(settings_of(config), name)[0]
    with refusals_of(file, hint="choose another file"):
        file.write_bytes(picture)
    click.echo(f"written: {file}")


def _seen(settings: Settings, name: str | None) -> tuple[bytes, tuple[int, int] | None]:
    """Return what a camera sees at this moment as JPEG, and width and height of its recordings,
    None where these are not known yet.

    Raises:
        BusyError: there is no picture now.
    """
    folder = state_folder(settings)
    _refuse_closed(folder)
    path = folder.recorder_socket
    sights = {sight.report.camera: sight for sight in ask_for_recorders(path)}
    if name is None and len(sights) > 1:
        raise click.UsageError(f"which camera: --camera {' or '.join(sights)}")
    wanted = name or next(iter(sights), "main")
    jpeg = ask_for_still(path, wanted).jpeg
    return jpeg, sights[wanted].report.size_px


@camera.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--camera", "name", metavar="NAME", help="Which camera.  [default: the only one]")
@click.option("--activity", type=click.Choice(ACTIVITIES), help="What it is to film.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="JPEG",
    help="Write the picture to this file, with the skeleton on it.",
)
@standard_options
def check(
    file: Path | None,
    name: str | None,
    activity: str | None,
    out: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """Check the camera's framing.

    Have somebody stand upright at the station.  FILE is a picture, or a recording of another camera
    program; without it the recorder's picture is used.  Each finding comes with its remedy.  Exit
    code 0: no findings; 1: something needs to be corrected; 75: there is no picture.
    """
    settings = settings_of(config)
    with TemporaryDirectory(prefix="spotter-") as folder:
        stored_px = None
        if file is None:
            file = Path(folder, "seen.jpg")
            jpeg, stored_px = _seen(settings, name)
            file.write_bytes(jpeg)
        elif not file.is_file():
            raise RequestError(f"{file}: no such file")
        try:
            found = check_framing(file, settings, activity=activity, stored_px=stored_px, out=out)
        except AnalysisError as error:
            raise RequestError(f"{file.name}: {error}", hint=error.hint) from None
    remarks = [{"code": code, "message": text} for code, text in found.remarks.items()]
    document = {"fine": found.is_fine, "found": found.found, "remarks": remarks}
    print_answer(document, "\n".join(found.remarks.values()) or "no findings", as_json=as_json)
    if not found.is_fine:
        sys.exit(1)
