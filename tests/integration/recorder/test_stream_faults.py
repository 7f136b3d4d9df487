"""Whatever happens to a stream: what came before is stored whole, and soon it is stored again.

The pictures of the camera carry their numbers and the time when they were sent.
"""

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import av.error
import pytest

from tests.faulty_camera import (
    FPS,
    FaultyCamera,
    Footage,
    faulty_camera,
    make_footage,
    sent_of,
)
from tests.recorder import RecorderUnderTest, Scheduling
from tests.station import until

_CHANCE = random.Random(7)
_WITHIN_S = 10.0
_UNSENT_S = 0.4  # what a camera has not sent yet when its power fails
_UNSEEN_S = 3 / FPS + 0.3
_SETTLED_S = 2.0  # longer than from one keyframe to the next
_FORWARD_S, _BACKWARD_S = 30.0, 3.0


class Stage(NamedTuple):
    """What the faults are made with."""

    camera: FaultyCamera
    usual: Footage
    others: Sequence[Footage]  # another size, and another codec


Fault = Callable[[Stage], float]  # returns when the camera was back, in seconds since boot


def boot_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def restarted(stage: Stage, footage: Footage, away_s: float) -> float:
    stage.camera.stop()
    time.sleep(away_s)
    stage.camera.start(footage)
    return boot_s()


def loss(stage: Stage) -> float:
    return restarted(stage, stage.usual, _CHANCE.uniform(0.2, 2.0))


def reboot(stage: Stage) -> float:
    return restarted(stage, stage.usual, _CHANCE.uniform(5.0, 15.0))


def stall(stage: Stage) -> float:
    stage.camera.signal(signal.SIGSTOP)
    time.sleep(_CHANCE.uniform(4.0, 12.0))
    stage.camera.signal(signal.SIGCONT)
    return boot_s()


def resolution(stage: Stage) -> float:
    stage.camera.tell(show=str(stage.others[0].path))
    return boot_s()


def codec(stage: Stage) -> float:
    return restarted(stage, stage.others[1], 0.5)


def jump(stage: Stage) -> float:
    stage.camera.tell(shift=_FORWARD_S)
    return boot_s()


def backward(stage: Stage) -> float:
    stage.camera.tell(shift=-_BACKWARD_S)
    return boot_s()


def repeated(stage: Stage) -> float:
    stage.camera.tell(repeat=3)
    return boot_s()


def packets(stage: Stage) -> float:
    stage.camera.tell(drop=_CHANCE.randint(1, 5))
    return boot_s()


_FAULTS: Sequence[Fault] = (
    loss,
    stall,
    reboot,
    resolution,
    codec,
    jump,
    backward,
    repeated,
    packets,
)
# After these the camera keeps sending: all that it sent before the fault was on its way.
_GOES_ON = frozenset({resolution, jump, backward, repeated, packets})


class Injected(NamedTuple):
    """One fault, in seconds since boot."""

    fault: Fault
    begun_s: float
    back_s: float
    filmed_s: float  # all that was sent from then on is stored, until the next fault


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A camera that serves."""
    usual = make_footage(tmp_path / "usual.au", size=64)
    others = (
        make_footage(tmp_path / "larger.au", size=96),
        make_footage(tmp_path / "other.au", size=64, kind="h265"),
    )
    with faulty_camera(usual) as camera:
        yield Stage(camera, usual, others)


def inject(stage: Stage, recorder: RecorderUnderTest, faults: Sequence[Fault]) -> list[Injected]:
    """Let one fault follow the other, each as soon as the camera is filmed again."""
    injected = []
    for fault in faults:
        time.sleep(_CHANCE.uniform(1.5, 3.0))
        begun_s = boot_s()
        back_s = fault(stage)
        until(lambda: is_filmed_again(recorder, back_s + _SETTLED_S))  # noqa: B023
        injected.append(Injected(fault, begun_s, back_s, boot_s()))
        if fault in (resolution, codec):
            back_s = restored(stage, fault)
            until(lambda: is_filmed_again(recorder, back_s + _SETTLED_S))  # noqa: B023
            injected[-1] = injected[-1]._replace(filmed_s=boot_s())
    return injected


def is_filmed_again(recorder: RecorderUnderTest, since_s: float) -> bool:
    """Tell whether a picture that was sent since then is in a file that grows."""
    hidden = recorder.capture / ".recorder-main"
    for path in hidden.glob("*.mkv"):
        try:
            found = sent_of(path)
        except (av.error.FFmpegError, OSError):  # it has only just begun, or has got its place
            continue
        if found and found[-1].boot_s > since_s:
            return True
    return False


def restored(stage: Stage, fault: Fault) -> float:
    """Let the camera send again what it usually sends; a fault of its own, and not counted."""
    if fault is codec:
        return restarted(stage, stage.usual, 0.0)
    stage.camera.tell(show=str(stage.usual.path))
    return boot_s()


class Healed(NamedTuple):
    """What became of one fault."""

    fault: str
    after_s: float  # from the camera's return to the first picture that is stored
    missing: int  # pictures that were sent before it, since the fault before was healed
    unseen_s: float  # from the last picture before it that is stored to the fault


def healed(recorder: RecorderUnderTest, injected: Sequence[Injected]) -> list[Healed]:
    """Return what became of every fault, by what the files hold."""
    found = [one for path in recorder.files() for one in sent_of(path)]
    assert len({one.number for one in found}) == len(found)  # nothing twice
    found.sort(key=lambda one: one.number)
    told, since_s = [], found[0].boot_s
    for fault, begun_s, back_s, filmed_s in injected:
        after = [one for one in found if back_s < one.boot_s < back_s + _SETTLED_S]
        after = after or [one for one in found if one.boot_s > back_s][:1]
        broken = [b for a, b in pairwise(after) if b.number - a.number != 1]
        after_s = (broken or after)[-1 if broken else 0].boot_s - back_s
        end_s = begun_s if fault in _GOES_ON else begun_s - _UNSENT_S
        before = [one for one in found if since_s <= one.boot_s < end_s]
        missing = sum(b.number - a.number - 1 for a, b in pairwise(before))
        told.append(Healed(fault.__name__, after_s, missing, end_s - before[-1].boot_s))
        since_s = filmed_s
    return told


def judge(recorder: RecorderUnderTest, injected: Sequence[Injected], *, late_s: float) -> None:
    """Look at every fault: nothing before it is lost, and it was healed in time.

    A machine that lets a thread run `late_s` late keeps the camera from sending for so long.
    """
    told = healed(recorder, injected)
    assert not [one for one in told if one.after_s > _WITHIN_S], told
    unseen_s = _UNSEEN_S + 3 * late_s
    assert not [one for one in told if one.missing or one.unseen_s > unseen_s], told


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_fifty_faults_are_healed_within_ten_seconds_and_lose_nothing_before(
    stage: Stage, tmp_path: Path
) -> None:
    faults = [_FAULTS[number % len(_FAULTS)] for number in range(50)]
    _CHANCE.shuffle(faults)
    recorder = RecorderUnderTest(tmp_path, stage.camera.address, segment_s=3600)
    with recorder.running(), Scheduling() as scheduling:
        until(lambda: is_filmed_again(recorder, 0.0))
        injected = inject(stage, recorder, faults)
    judge(recorder, injected, late_s=scheduling.latest_s)


def test_stamps_that_run_backward_end_the_file_and_lose_nothing_before(
    stage: Stage, tmp_path: Path
) -> None:
    recorder = RecorderUnderTest(tmp_path, stage.camera.address, segment_s=3600)
    with recorder.running(), Scheduling() as scheduling:
        until(lambda: is_filmed_again(recorder, 0.0))
        injected = inject(stage, recorder, [packets, backward])
    judge(recorder, injected, late_s=scheduling.latest_s)
