"""The commands `show`, `why` and `logs`."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from agent.cli import end_after
from agent.cli.common import (
    local_time,
    opened_outbox,
    print_answer,
    print_json,
    settings_of,
    standard_options,
)
from agent.cli.formatting import duration_words, size_words
from agent.clock import LocalTime, iso_utc, read_clock
from agent.daemon.systemd import start_command
from agent.disk.rights import how_to_let_take, may_take, service_user_of
from agent.disk.state_folder import StateFolderLock, walk
from agent.errors import RequestError
from agent.outbox.entries import EventKind
from agent.outbox.history import event_words, story
from agent.outbox.models import Capture, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState
from agent.settings import Settings, find_config
from agent.station.assignments import state_folder
from agent.station.attribution import ClipWarning
from agent.station.description import (
    Document,
    StationData,
    describe,
    file_described,
    find_all,
    find_named,
    headline,
)
from agent.station.recording_pause import filming
from agent.support_bundle import journal_lines
from agent.text import printable_file_name


def still_outside(settings: Settings, outbox: Outbox, wanted: str, *, start: str) -> str | None:
    """Return why a file was not ingested yet; None where the folder has none of that name."""
    found = _pending_files(settings.paths.capture, wanted)
    if found is None:
        return None
    runs = StateFolderLock(state_folder(settings)).is_taken()
    text = _left_alone(settings, found)
    if text is None and runs:  # what the last daemon waited for is over
        text = _paused(outbox)
    if text is None:
        text = _settles(settings, found)
        if filming(outbox, now=read_clock()).stopped is not None:
            text += "; recording is paused: new footage is deleted, not analysed"
        if not runs:
            text += f"; but the daemon is not running ({start})"
    return f"is in the capture folder{text}"


def _settles(settings: Settings, found: Path) -> str:
    capture, facts = settings.capture, found.stat()
    if not facts.st_size:
        return (
            " and is empty: if nothing is written to it within "
            f"{capture.settle_unseen_s:g} s, it is quarantined"
        )
    return (
        f", not ingested yet (last write {duration_words(read_clock().utc_s - facts.st_mtime)} ago)"
        f": it is ingested after {capture.settle_s:g} s without writes, once nobody has it open "
        f"for writing ({capture.settle_unseen_s:g} s where that is unknown)"
    )


def _paused(outbox: Outbox) -> str | None:
    """Return why intake is paused, or None."""
    waits = [pause.detail for pause in outbox.pauses.all() if pause.part == "intake"]
    return f": intake is paused, {waits[0]}" if waits else None


def _pending_files(capture: Path, wanted: str) -> Path | None:
    """Return the file of a name, as it is or as Spotter writes it, in the capture folder."""
    shown = printable_file_name(Path(wanted).name)
    for folder, names, _ in walk(capture):
        for name in names:
            path = folder / name
            if printable_file_name(name) == shown and path.is_file():
                return path
    return None


def _left_alone(settings: Settings, found: Path) -> str | None:
    """Return why intake ignores a file; None where it ingests it."""
    inside = found.relative_to(settings.paths.capture)
    if any(part.startswith(".") for part in inside.parts):
        return " but is hidden: names that begin with a dot are ignored"
    if found.suffix.lower() not in settings.capture.suffixes:
        return " but is ignored: its extension is not a video extension (capture.suffixes)"
    if found.is_symlink():
        return " but is ignored: it is a link, and only regular files are ingested"
    who = service_user_of(settings.paths.state)
    if not may_take(found, who):
        how = how_to_let_take(found, who)
        return f", but {who.name} has no permission to read and move it: {how}"
    return None


_WIDTH = 13  # columns of a name
_SHORT = ("id", "name", "state", "told")
_FOR_A_PERSON = frozenset({EntryState.HELD, EntryState.DEAD})  # nothing happens to it without one


@click.command()
@click.argument("wanted", metavar="ANYTHING")
@standard_options
def show(wanted: str, config: Path | None, as_json: bool) -> None:
    """Show where anything is, its history, and what to do next.

    ANYTHING is a file (its name, path or the beginning of its SHA-256), a clip code, a session
    id, c12 (a recording), c12/1 (its first take), e7 (a clip), a user_id or an athlete's name.
    A name that fits several lists them, with exit code 1.  Short form: spotter why ANYTHING
    """
    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        scene = _scene(settings, outbox, config)
        try:
            found = find_named(outbox, wanted)
        except RequestError as nothing:
            documents = [_elsewhere(scene, wanted, nothing)]
        else:
            tell = describe if len(found) == 1 else headline
            documents = [tell(scene, one) for one in found]
    if len(documents) > 1:
        _refuse_ambiguous(printable_file_name(wanted), documents, as_json=as_json)
    if as_json:
        print_json(documents[0])
    else:
        _print(documents[0])


@click.command()
@click.argument("wanted", metavar="ANYTHING")
@standard_options
def why(wanted: str, config: Path | None, as_json: bool) -> None:
    """Show a take's status and what it is waiting for.

    The short form of spotter show: one line for each clip.
    """
    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        scene = _scene(settings, outbox, config)
        try:
            found = find_all(outbox, wanted)
        except RequestError as nothing:
            documents = [_elsewhere(scene, wanted, nothing)]
        else:
            documents = [headline(scene, subject) for subject in found]
    lines = [f"{document['name']} {document['told']}" for document in documents]
    print_answer(
        [{name: document[name] for name in _SHORT} for document in documents],
        "\n".join(lines) or f"{printable_file_name(wanted)} has no clips",
        as_json=as_json,
    )


def _scene(settings: Settings, outbox: Outbox, config: Path | None) -> StationData:
    start = start_command(find_config(config, os.environ))
    return StationData(settings=settings, outbox=outbox, start=start, now=read_clock())


def _elsewhere(scene: StationData, wanted: str, nothing: RequestError) -> Document:
    """Return what a name means that the outbox does not hold: a new file, or this station.

    Raises:
        RequestError: it means neither.
    """
    text = still_outside(scene.settings, scene.outbox, wanted, start=scene.start)
    if text is not None:
        return file_described(printable_file_name(Path(wanted).name), text)
    station = scene.settings.station
    if wanted in {station.id, station.name}:
        return file_described(wanted, "is this station", next_="spotter status")
    raise nothing


def _refuse_ambiguous(wanted: str, documents: list[Document], *, as_json: bool) -> None:
    """List the candidates for a name, and end as where nothing was found."""
    error = RequestError(
        f"{wanted!r} is ambiguous: {len(documents)} matches",
        hint="use the ID of one, such as the c12, e7 or user_id above",
    )
    lines = [f"{document['kind']} {document['name']} {document['told']}" for document in documents]
    answer = {"error": str(error), "hint": error.hint, "candidates": documents}
    print_answer(answer, "\n".join(lines), as_json=as_json)
    end_after(error)


def _print(document: Document) -> None:
    click.echo(f"{document['name']} {document['told']}")
    for name in ("cause", "next"):
        if document.get(name):
            click.echo(f"{name:{_WIDTH}} {document[name]}")
    here = local_time()
    facts = [(name, words) for name, words in _facts(document, here) if words]
    if facts:
        click.echo()
    previous = ""
    for name, words in facts:
        click.echo(f"{'' if name == previous else name:{_WIDTH}} {words}")
        previous = name
    _print_clips(document)
    _print_story(document, here)


def _facts(document: Mapping[str, Any], here: LocalTime) -> Iterator[tuple[str, str | None]]:
    if document["kind"] == "clip":
        yield "athlete", _athlete(document["athlete"])
        yield "exercise", _movement(document["movement"])
        if document["recorded_at"]:
            yield "recorded", here.moment_or(document["recorded_at"])
        yield "clip", _clip(document["clip"])
        yield from _session(document["session"], here)
    recordings = document.get("recordings") or [document.get("recording")]
    for recording in recordings:
        if recording is not None:
            yield from _recording(recording, here, with_time=document["kind"] == "recording")
    for warning in document.get("warnings", ()):
        yield "warnings", _warning(warning)
    for name, path in document.get("files", {}).items():
        yield "files", f"{path} ({name.replace('_', ' ')})"


_REMARKS = {
    ClipWarning.NEAR_CHANGE: "the assignment changed within 10 s of the take",
    ClipWarning.TIME_UNKNOWN: "the recording time is uncertain; there was one athlete since",
    ClipWarning.NO_MASS: "no weight is given: the API assumes 100 kg",
    ClipWarning.UNFAMILIAR_PACE: "recorded faster or slower than it plays",
}


def _warning(warning: str) -> str:
    """Return a warning in words; those of the picture have them already."""
    if warning.startswith(ClipWarning.MAY_BE):
        return f"the athlete may be {warning.removeprefix(ClipWarning.MAY_BE)}"
    return _REMARKS.get(warning, warning)


def _athlete(athlete: Mapping[str, Any]) -> str:
    key, name = athlete["user_id"] or athlete["guest"], athlete["name"]
    if key is None:
        return "unassigned"
    return key if name in {None, key} else f"{key} ({name})"


def _movement(movement: Mapping[str, Any]) -> str:
    text = movement["exercise"] or movement["activity"]
    if movement["barbell_mass"] is not None:
        text += f", {movement['barbell_mass']:g} kg"
    if movement["incline_degree"] is not None:
        text += f", {movement['incline_degree']:g}° incline"
    return str(text)


def _clip(clip: Mapping[str, Any]) -> str:
    cut = f", {clip['cut']}" if clip["cut"] else ""
    return f"{clip['seconds']:.1f} s, {size_words(clip['bytes'])}{cut}"


def _session(session: Mapping[str, Any] | None, here: LocalTime) -> Iterator[tuple[str, str]]:
    if session is None:
        yield "session", "none at the API yet"
        return
    yield "session", f"{session['session_id']}, uploaded {here.moment_or(session['sent_at'])}"
    if session["analysis"]:
        yield "analysis", session["analysis"]


def _recording(
    recording: Mapping[str, Any], here: LocalTime, *, with_time: bool
) -> Iterator[tuple[str, str]]:
    length = "" if recording["seconds"] is None else f", {recording['seconds']:.1f} s"
    size = size_words(recording["bytes"])
    yield "recording", f"{recording['id']}, {recording['file_name']}{length}, {size}"
    if with_time and recording["recorded_at"]:
        yield "recorded", here.moment_or(recording["recorded_at"])
    if recording["recorded_by"]:
        yield "time from", recording["recorded_by"]
    yield "stored as", recording["path"] or "no longer on this box"


def _print_clips(document: Mapping[str, Any]) -> None:
    clips = document.get("clips")
    if not clips:
        return
    click.echo("\nclips")
    for clip in clips:
        click.echo(f"  {clip['name']} {clip['told']}")
        if clip["state"] in _FOR_A_PERSON and clip.get("next"):
            click.echo(f"    next: {clip['next']}")


def _print_story(document: Mapping[str, Any], here: LocalTime) -> None:
    story = document.get("story")
    if not story:
        return
    click.echo(f"\nhistory (times in {here.zone})")
    for line in story:
        click.echo(f"  {here.moment_or(line['at'])}  {line['what']}")


_RECENT = 50


@click.command()
@click.argument("code", required=False)
@standard_options
def logs(code: str | None, config: Path | None, as_json: bool) -> None:
    """Show the event log (of one clip).

    From the outbox and, where available, the systemd journal.  CODE is a clip code, file,
    session id, c12 or e7.  Without CODE: the latest events of the station.
    """

    settings = settings_of(config)
    with opened_outbox(settings) as outbox:
        if code is None:
            documents = [_latest(outbox)]
        else:
            documents = [_story(outbox, subject) for subject in find_all(outbox, code)]
    if as_json:
        print_json(documents)
        return
    for document in documents:
        _logs_print(document)


def _story(outbox: Outbox, subject: Capture | Entry) -> dict[str, object]:
    if isinstance(subject, Capture):
        matches = [f"SPOTTER_CAPTURE={subject.name}"]
    else:
        captures = outbox.entries.captures_of(subject.id)
        matches = [
            f"SPOTTER_CLIP={subject.clip_code}",
            f"SPOTTER_ENTRY={subject.name}",
            *(f"SPOTTER_CAPTURE={capture.name}" for capture in captures),
        ]
    return {
        "of": subject.name,
        "story": story(outbox, subject)["story"],
        "journal": journal_lines(*matches),
    }


def _latest(outbox: Outbox) -> dict[str, object]:
    lines = []
    for name, event in outbox.events.recent(most=_RECENT):
        if event.what is EventKind.ATTEMPT:
            continue  # its outcome follows
        text = event_words(event, of_capture=name.startswith("c"))
        lines.append({"at": iso_utc(event.at), "what": f"{name} {text}"})
    return {"of": "everything", "story": lines, "journal": []}


def _logs_print(document: dict[str, Any]) -> None:
    story, journal = document["story"], document["journal"]
    if not story and not journal:
        click.echo("no events yet")
        return
    here = local_time()
    click.echo(f"{document['of']} (times in {here.zone}):")
    for line in story:
        click.echo(f"  {here.moment_or(line['at'])}  {line['what']}")
    for line in journal:
        click.echo(f"  {line}")
