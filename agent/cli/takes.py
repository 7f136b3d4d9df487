"""spotter takes add, spotter reanalyse."""

import re
from pathlib import Path
from typing import Any

import click

from agent.cli.common import config_option, json_option, print_json, steered_outbox

_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d*)?)")


class _Moment(click.ParamType[float]):
    """A moment of a capture: seconds, m:ss or h:mm:ss."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        matched = _CLOCK.fullmatch(str(value))
        if matched is None:
            self.fail(f"{value!r} is not a position (examples: 83.5, 1:23.5)", param, ctx)
        hours, minutes, seconds = (float(part or 0) for part in matched.groups())
        return hours * 3600 + minutes * 60 + seconds


@click.group()
def takes() -> None:
    """Create clips manually where the analysis missed a take."""


@takes.command()
@click.argument("file")
@click.argument("start", type=_Moment())
@click.argument("end", type=_Moment())
@config_option
@json_option
def add(file: str, start: float, end: float, config: Path | None, as_json: bool) -> None:
    """Create a clip of a recording from START to END.

    FILE is the recording's file name or ID (c12).  START and END are seconds or m:ss from the
    beginning of the recording.  The clip gets no padding; its athlete follows from the recording
    time, as always.
    """
    from agent.clock import read_clock
    from agent.station.by_hand import add_take, find_capture

    with steered_outbox(config) as (_settings, box):
        capture = find_capture(box, file)
        take = add_take(box, capture, start_s=start, end_s=end, now_s=read_clock().utc_s)
    if as_json:
        print_json({"capture": capture.name, "take": take.number, "start_s": start, "end_s": end})
    else:
        click.echo(f"{capture.name}: clip from {start:g} to {end:g} s queued (take {take.number})")


@click.command()
@click.argument("capture")
@config_option
@json_option
def reanalyse(capture: str, config: Path | None, as_json: bool) -> None:
    """Analyse a recording again, with the current settings.

    Clips that are not uploaded yet are discarded and replaced by the new result.  What was
    uploaded or created manually never gets a second clip.
    """
    from agent.clock import read_clock
    from agent.station.by_hand import find_capture, look_again

    with steered_outbox(config) as (_settings, box):
        again = look_again(box, find_capture(box, capture), now_s=read_clock().utc_s)
    if as_json:
        print_json({"id": again.name, "state": again.state})
    else:
        click.echo(f"{again.name} will be analysed again")
