"""The command `camera`."""

from pathlib import Path

import click

from agent.cli.common import config_option, json_option, print_json, settings_of
from agent.station.assignments import state_folder
from agent.station.recorders import RecorderSight, ask_for_recorders, ask_for_still


@click.group(invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def camera(ctx: click.Context, config: Path | None, as_json: bool) -> None:
    """Show what each recorder of the station does.

    The running daemon is asked; a camera program of another kind is not listed (spotter status
    says what it recorded).  Exit code 1: a camera is lost, or its recordings cannot be stored.
    """
    if ctx.invoked_subcommand is not None:
        return
    sights = ask_for_recorders(state_folder(settings_of(config)).recorder_socket)
    if as_json:
        print_json([_document(sight) for sight in sights])
    elif not sights:
        click.echo("no recorder reports to this station's daemon")
    for sight in () if as_json else sights:
        click.echo(_line(sight))
    if any(sight.fault is not None for sight in sights):
        ctx.exit(1)


def _document(sight: RecorderSight) -> dict[str, object]:
    return {
        **sight.report.message(),
        "running": not sight.is_silent,
        "fault": sight.fault,
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
    """Write what the camera sees at this moment to FILE, as JPEG."""
    path = state_folder(settings_of(config)).recorder_socket
    names = [sight.report.camera for sight in ask_for_recorders(path)]
    if name is None and len(names) > 1:
        raise click.UsageError(f"which camera: --camera {' or '.join(names)}")
    file.write_bytes(ask_for_still(path, name or next(iter(names), "main")).jpeg)
    click.echo(f"written: {file}")
