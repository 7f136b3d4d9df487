"""The state in words: the large one, and the lines beside it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from agent.delivery.line import read_line
from agent.outbox.disk.room import read_disk
from agent.outbox.disk.space import Space
from agent.station.camera import CameraState
from agent.station.facts import read_facts
from agent.station.filming import Filming, filming
from agent.station.left_alone import left_alone
from agent.station.word import Facts, Word, decide_word
from agent.web.i18n import N_, STATES, UPLOADS_PAUSED, UPLOADS_PAUSED_OTHERWISE, Texts
from agent.web.source import Source

_DAY_S = 86400.0
_LOW_S = 3 * _DAY_S  # a disk that is full sooner is worth a warning
_LONG_S = 60 * _DAY_S  # one that lasts longer is worth no word

_CAMERA_WORDS = {
    CameraState.UNREADABLE: N_("The latest recordings are unreadable. Check the camera."),
    CameraState.DARK: N_("The latest recordings are dark or frozen. Check the camera."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state as the page shows it."""

    word: Word
    title: str  # the word as it is shown
    lines: tuple[str, ...]
    needs: tuple[str, ...]  # the lines about what waits for a person, which lead there
    is_stopped: bool  # filming


def read_state(source: Source, *, is_filming: bool) -> State:
    """Return what the station is doing at this moment."""
    films = filming(source.outbox, now=source.now())
    facts = read_facts(
        source.outbox,
        host=source.host,
        capture_folder=source.settings.paths.capture,
        is_stopped=films.stopped is not None,
        is_filming=is_filming,
        camera=source.camera.look(source.now()),
        now_s=source.now().utc_s,
    )
    left = left_alone(
        source.settings.paths.capture,
        source.settings.capture.suffixes,
        now_s=source.now().utc_s,
    )
    facts = replace(
        facts,
        stuck=tuple(source.signs.stuck()),
        disk_is_low=_disk_is_low(source),
        left_videos=left.videos,
    )
    word = decide_word(facts)
    lines = [*_about_stop(source.texts, films), *_lines(source, facts, word)]
    if left.count:
        lines.append(
            source.texts.ngettext(
                "%(n)s file in the capture folder is not a video by its extension.",
                "%(n)s files in the capture folder are not videos by their extension.",
                left.count,
            )
        )
    needs = tuple(_needs(source.texts, facts))
    return State(
        word=word,
        title=source.texts.gettext(STATES[word]),
        lines=tuple(lines),
        needs=needs,
        is_stopped=facts.is_stopped,
    )


def _needs(texts: Texts, facts: Facts) -> Iterator[str]:
    waiting = facts.held + facts.refused + facts.failing
    if waiting:
        yield texts.ngettext("%(n)s take to review.", "%(n)s takes to review.", waiting)
    if facts.unreadable:
        yield texts.ngettext(
            "%(n)s recording could not be processed.",
            "%(n)s recordings could not be processed.",
            facts.unreadable,
        )


def _lines(source: Source, facts: Facts, word: Word) -> Iterator[str]:
    texts = source.texts
    yield from _about_camera(source, facts)
    if facts.stuck:
        yield texts.gettext("Part of Spotter has stalled. It restarts automatically.")
    yield from _about_filming(texts, facts, word)
    if facts.lane_reason is not None:
        words = UPLOADS_PAUSED.get(facts.lane_reason, UPLOADS_PAUSED_OTHERWISE)
        yield texts.gettext(words, n=facts.clips_waiting)
    if facts.clips_waiting:
        yield _about_waiting(source, facts)
    elif word is Word.SAFE and not facts.sent:
        yield texts.gettext("Nothing left to upload.")
    if facts.sent:
        yield texts.ngettext(
            "%(n)s take uploaded today.", "%(n)s takes uploaded today.", facts.sent
        )
    elif not facts.ever_sent and word is Word.IDLE:
        yield texts.gettext("Nothing recorded yet.")
    yield from _about_disk(source)


def _about_stop(texts: Texts, films: Filming) -> Iterator[str]:
    if films.waiting:
        yield texts.ngettext(
            "%(n)s recording is kept until the stop can no longer be undone.",
            "%(n)s recordings are kept until the stop can no longer be undone.",
            films.waiting,
        )
    if films.stopped is None:
        return
    if films.left_s is None:
        yield texts.gettext("Recording is off; new footage is deleted.")
    else:
        yield texts.gettext(
            "Recording is off; new footage is deleted. Resumes in %(left)s.",
            left=texts.duration(films.left_s),
        )
    if films.unseen:
        yield texts.ngettext(
            "%(n)s recording deleted while recording was off.",
            "%(n)s recordings deleted while recording was off.",
            films.unseen,
        )


def _about_camera(source: Source, facts: Facts) -> Iterator[str]:
    """Yield how long the camera has been silent, or what is wrong with its recordings."""
    camera, texts = facts.camera, source.texts
    if camera is None or not camera.is_faulty:
        return
    if camera.state is not CameraState.SILENT:
        yield texts.gettext(_CAMERA_WORDS[camera.state])
        return
    age_s = camera.age_s(source.now().utc_s)
    if age_s is None:
        yield texts.gettext("No recordings yet. Check the camera.")
    else:
        yield texts.gettext(
            "Last recording %(ago)s ago. Check the camera.", ago=texts.duration(age_s)
        )


def _about_waiting(source: Source, facts: Facts) -> str:
    """Return what waits to be sent, and when it will have gone out where that is known."""
    texts, n = source.texts, facts.clips_waiting
    told = texts.ngettext("%(n)s take to upload.", "%(n)s takes to upload.", n)
    if facts.lane_reason is not None or facts.stuck:
        return told  # nobody knows when
    now_s = source.now().utc_s
    line = read_line(source.outbox, schedule=source.settings.delivery.schedule, now_s=now_s)
    if line.sent_at is None:
        return told
    left = texts.duration(max(1.0, line.sent_at - now_s))
    return texts.ngettext(
        "%(n)s take to upload, done in about %(left)s.",
        "%(n)s takes to upload, done in about %(left)s.",
        n,
        left=left,
    )


def _about_filming(texts: Texts, facts: Facts, word: Word) -> Iterator[str]:
    if facts.folder_is_missing:
        yield texts.gettext("The capture folder is missing. Check the camera and its disk.")
    if word is Word.FILMING:
        yield texts.gettext("The camera is recording.")
    if "intake" in facts.paused:
        yield texts.gettext("Disk full: new recordings wait. Uploads continue and free up space.")
    elif facts.paused:
        yield texts.gettext("This device cannot analyse recordings at the moment. They are stored.")
    if facts.captures_waiting > 1 and not facts.paused:
        yield texts.gettext(
            "1 recording is being analysed, %(n)s in the queue.", n=facts.captures_waiting - 1
        )
    elif facts.captures_waiting:
        yield texts.ngettext(
            "%(n)s recording to analyse.", "%(n)s recordings to analyse.", facts.captures_waiting
        )


def _about_disk(source: Source) -> Iterator[str]:
    full_in_s = _disk_is_full_in_s(source)
    if full_in_s is not None and full_in_s < _LONG_S:
        left = source.texts.duration(full_in_s)
        if full_in_s < _LOW_S:
            yield source.texts.gettext("Disk full in about %(left)s at this rate.", left=left)
        else:
            yield source.texts.gettext("Disk space lasts about %(left)s.", left=left)


def _disk_is_low(source: Source) -> bool:
    full_in_s = _disk_is_full_in_s(source)
    return full_in_s is not None and full_in_s < _LOW_S


def _disk_is_full_in_s(source: Source) -> float | None:
    space = Space(source.settings.paths.state, min_free_mb=source.settings.disk.min_free_mb)
    return read_disk(source.outbox.rooms, space, now_s=source.now().utc_s).ahead.full_in_s
