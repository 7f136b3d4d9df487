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
from agent.web.source import Source
from agent.web.texts import Texts

_DAY_S = 86400.0
_LOW_S = 3 * _DAY_S  # a disk that is full sooner is worth a warning
_LONG_S = 60 * _DAY_S  # one that lasts longer is worth no word

_CAMERA_WORDS = {
    CameraState.UNREADABLE: "more_camera_unreadable",
    CameraState.DARK: "more_camera_dark",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The state as the page shows it."""

    word: Word
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
        lines.append(_counted(source.texts, "more_left", left.count))
    needs = tuple(_needs(source.texts, facts))
    return State(word=word, lines=tuple(lines), needs=needs, is_stopped=facts.is_stopped)


def _needs(texts: Texts, facts: Facts) -> Iterator[str]:
    waiting = facts.held + facts.refused + facts.failing
    if waiting:
        yield _counted(texts, "more_needs", waiting)
    if facts.unreadable:
        yield _counted(texts, "more_unreadable", facts.unreadable)


def _lines(source: Source, facts: Facts, word: Word) -> Iterator[str]:
    texts = source.texts
    yield from _about_camera(source, facts)
    if facts.stuck:
        yield texts.say("more_stuck")
    yield from _about_filming(texts, facts, word)
    if facts.lane_reason is not None:
        key = f"lane_{facts.lane_reason}"
        yield texts.say(key if texts.knows(key) else "lane_other", n=facts.clips_waiting)
    if facts.clips_waiting:
        yield _about_waiting(source, facts)
    elif word is Word.SAFE:
        yield texts.say("more_safe")
    if facts.sent:
        yield _counted(texts, "more_sent", facts.sent)
    elif not facts.ever_sent and word is Word.IDLE:
        yield texts.say("more_idle")
    yield from _about_disk(source)


def _about_stop(texts: Texts, films: Filming) -> Iterator[str]:
    if films.waiting:
        yield _counted(texts, "more_stop_waiting", films.waiting)
    if films.stopped is None:
        return
    if films.left_s is None:
        yield texts.say("more_stopped")
    else:
        yield texts.say("more_stopped_left", left=texts.duration(films.left_s))
    if films.unseen:
        yield texts.say("more_unseen", n=films.unseen)


def _about_camera(source: Source, facts: Facts) -> Iterator[str]:
    """Yield how long the camera has been silent, or what is wrong with its recordings."""
    camera, texts = facts.camera, source.texts
    if camera is None or not camera.is_faulty:
        return
    if camera.state is not CameraState.SILENT:
        yield texts.say(_CAMERA_WORDS[camera.state])
        return
    age_s = camera.age_s(source.now().utc_s)
    if age_s is None:
        yield texts.say("more_camera_never")
    else:
        yield texts.say("more_camera_silent", ago=texts.duration(age_s))


def _about_waiting(source: Source, facts: Facts) -> str:
    """Return what waits to be sent, and when it will have gone out where that is known."""
    told = _counted(source.texts, "more_waiting", facts.clips_waiting)
    if facts.lane_reason is not None or facts.stuck:
        return f"{told}."  # nobody knows when
    now_s = source.now().utc_s
    line = read_line(source.outbox, schedule=source.settings.delivery.schedule, now_s=now_s)
    if line.sent_at is None:
        return f"{told}."
    left = source.texts.duration(max(1.0, line.sent_at - now_s))
    return f"{told}, {source.texts.say('more_eta', left=left)}."


def _about_filming(texts: Texts, facts: Facts, word: Word) -> Iterator[str]:
    if facts.folder_is_missing:
        yield texts.say("more_folder")
    if word is Word.FILMING:
        yield texts.say("more_filming")
    if "intake" in facts.paused:
        yield texts.say("more_paused")
    elif facts.paused:
        yield texts.say("more_paused_analysis")
    if facts.captures_waiting:
        yield _counted(texts, "more_analysing", facts.captures_waiting)


def _about_disk(source: Source) -> Iterator[str]:
    full_in_s = _disk_is_full_in_s(source)
    if full_in_s is not None and full_in_s < _LONG_S:
        key = "more_disk_low" if full_in_s < _LOW_S else "more_disk"
        yield source.texts.say(key, left=source.texts.duration(full_in_s))


def _disk_is_low(source: Source) -> bool:
    full_in_s = _disk_is_full_in_s(source)
    return full_in_s is not None and full_in_s < _LOW_S


def _disk_is_full_in_s(source: Source) -> float | None:
    space = Space(source.settings.paths.state, min_free_mb=source.settings.disk.min_free_mb)
    return read_disk(source.outbox.rooms, space, now_s=source.now().utc_s).ahead.full_in_s


def _counted(texts: Texts, key: str, n: int) -> str:
    return texts.say(f"{key}_one" if n == 1 else key, n=n)
