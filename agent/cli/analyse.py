"""The command `analyse`."""

import sys
from collections.abc import Mapping
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from agent.cli.common import print_json, refusals_of, standard_options
from agent.clipping.analysis_process import AnalysisProcess, ChildLimits
from agent.errors import AnalysisError, RequestError
from agent.exercises import ACTIVITIES
from agent.text import counted


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the clips to this folder, with poster, filmstrip and activity plot.",
)
@click.option("--activity", type=click.Choice(ACTIVITIES), help="The recorded activity, if known.")
@standard_options
def analyse(
    file: Path,
    out: Path | None,
    activity: str | None,
    config: Path | None,  # noqa: ARG001  # every command takes it; this one needs none
    as_json: bool,
) -> None:
    """Analyse one video: its takes and quality warnings.

    The verdict says what Spotter would do with it: upload its clips, hold them, or skip it.
    """
    with refusals_of(file, hint="try with sudo"):  # a folder on the way may be closed to this user
        if not file.is_file():
            raise RequestError(f"{file}: {'not a file' if file.exists() else 'no such file'}")
    if out is not None:
        with refusals_of(out, hint="choose another folder"):
            out.mkdir(parents=True, exist_ok=True)
    try:
        report = _report(file.resolve(), out, activity, quiet=as_json)
    except AnalysisError as error:
        raise RequestError(f"{file}: {error}", hint=error.hint) from None
    if as_json:
        print_json(report)
    else:
        _print(report)


def _report(
    file: Path, out: Path | None, activity: str | None, *, quiet: bool
) -> dict[str, object]:
    """Let the child analyse a video, and cut it where a folder is given."""
    with Progress(
        console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty()
    ) as progress:
        bar = progress.add_task("analysing", total=1.0)
        child = AnalysisProcess(
            limits=ChildLimits(),
            check=lambda: None,
            on_progress=lambda done: progress.update(bar, completed=done),
        )
        try:
            options = {} if activity is None else {"activity": activity}
            plot = None
            if out is not None:
                plot = str((out / "activity.svg").resolve())
            report = dict(child.ask("inspect", path=str(file), options=options, plot=plot))
            report.pop("curve")
            if out is not None:
                report["takes"] = [
                    _cut(child, file, out, number, take)
                    for number, take in enumerate(_takes(report), start=1)
                ]
        finally:
            child.close()
    return report


def _cut(
    child: object, file: Path, out: Path, number: int, take: Mapping[str, object]
) -> dict[str, object]:
    assert isinstance(child, AnalysisProcess)  # imported late: it is slow to load
    clip = out / f"take-{number}.mp4"
    bounds = {"start_s": take["start_s"], "end_s": take["end_s"]}
    cut = child.ask("cut", path=str(file), **bounds, out=str(clip.resolve()))
    poster, strip = clip.with_suffix(".jpg"), out / f"take-{number}-strip.jpg"
    child.ask("poster", path=str(file), at_s=take["decisive_s"], out=str(poster.resolve()))
    child.ask("filmstrip", path=str(file), **bounds, out=str(strip.resolve()))
    return {**take, "clip": str(clip), **cut}


def _takes(report: Mapping[str, object]) -> list[Mapping[str, object]]:
    takes = report["takes"]
    assert isinstance(takes, list)  # the child is our own
    return takes


def _print(report: Mapping[str, object]) -> None:
    video, cost = report["video"], report["cost"]
    assert isinstance(video, Mapping) and isinstance(cost, Mapping)  # the child is our own
    click.echo(
        f"{video['duration_s']:.1f} s, {video['width']}x{video['height']}, "
        f"{video['fps']:.4g} fps, {video['codec']}"
    )
    for number, take in enumerate(_takes(report), start=1):
        reps = int(str(take.get("reps") or 0))
        counted_reps = f", {counted(reps, 'repetition')}" if reps else ""
        click.echo(
            f"take {number}: {take['active_start_s']:.1f} to {take['active_end_s']:.1f} s"
            f" ({take['activity']}{counted_reps}),"
            f" clip {take['start_s']:.1f} to {take['end_s']:.1f} s"
            + (f" -> {take['clip']}" if take.get("clip") else "")
        )
    quality = report["quality"]
    assert isinstance(quality, list)  # the child is our own
    for remark in quality:
        click.echo(f"{remark['severity']}: {remark['message']}")
    click.echo(f"verdict: {report['verdict']}  ({cost['wall_s']:.1f} s)")
