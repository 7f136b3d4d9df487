"""What is stored, for every sequence of packets and orders: nothing outside, nothing twice."""

from hypothesis import given
from hypothesis import strategies as st

from agent.recorder.cutting import (
    AppendPacket,
    ArmedState,
    BeginFile,
    CutPolicy,
    EndFile,
    EndReason,
    PacketRing,
    RecordingPlan,
)
from agent.recorder.packets import StreamPacket

_STEP_S = 0.1
_POLICY = CutPolicy(pre_roll_s=1.5, segment_s=6.0, quiet_s=3.0, ring_bytes=10**6)
_DISARMED = ArmedState(armed_by=None, since_s=0.0)


def _packet(n: int, *, is_keyframe: bool, size: int = 100) -> StreamPacket:
    return StreamPacket(b"\0" * size, n * _STEP_S, _STEP_S, is_keyframe, n * _STEP_S)


class _Disk:
    """Carries out what the plan says, and complains where that makes no sense."""

    def __init__(self) -> None:
        self.files: list[list[StreamPacket]] = []
        self.ends: list[EndReason] = []
        self.continued: list[bool] = []

    def carry_out(self, actions: list[BeginFile | AppendPacket | EndFile]) -> None:
        for action in actions:
            is_open = len(self.files) > len(self.ends)
            match action:
                case BeginFile(packets, _, continues):
                    assert not is_open and packets[0].is_keyframe
                    self.files.append(list(packets))
                    self.continued.append(continues)
                case AppendPacket(packet):
                    assert is_open
                    self.files[-1].append(packet)
                case EndFile(reason):
                    assert is_open
                    self.ends.append(reason)


@given(
    st.lists(
        st.tuples(
            st.booleans(),  # whether the packet is a keyframe
            st.sampled_from(("packet", "packet", "packet", "packet", "toggle", "break", "lost")),
            st.integers(1, 4000),
        ),
        max_size=300,
    )
)
def test_only_what_was_filmed_while_armed_or_just_before_is_stored_and_once(
    script: list[tuple[bool, str, int]],
) -> None:
    plan, disk = RecordingPlan(_POLICY), _Disk()
    armed, windows = _DISARMED, []
    for n, (is_keyframe, what, size) in enumerate(script):
        now_s = n * _STEP_S
        if what == "toggle":
            if armed.armed_by is None:
                armed = ArmedState(armed_by="assigned", since_s=now_s)
                windows.append([now_s, float("inf")])
            else:
                armed = ArmedState(armed_by=None, since_s=now_s)
                windows[-1][1] = now_s
            disk.carry_out(plan.look(armed))
        elif what == "break":
            disk.carry_out(plan.end(EndReason.STREAM))
        elif what == "packet":
            disk.carry_out(plan.take(_packet(n, is_keyframe=is_keyframe, size=size), armed))
        assert plan.ring.seconds <= _POLICY.pre_roll_s
        assert plan.is_filming == (len(disk.files) > len(disk.ends))

    stored = [packet for file in disk.files for packet in file]
    assert len({packet.pts_s for packet in stored}) == len(stored)
    for packet in stored:
        assert any(begin - _POLICY.pre_roll_s <= packet.filmed_s < end for begin, end in windows), (
            packet.filmed_s
        )


def test_a_file_begins_with_the_pre_roll_at_a_keyframe() -> None:
    plan, disk = RecordingPlan(_POLICY), _Disk()
    for n in range(40):
        armed = ArmedState(armed_by="assigned", since_s=3.0) if n >= 30 else _DISARMED
        disk.carry_out(plan.take(_packet(n, is_keyframe=n % 5 == 0), armed))

    assert [round(packet.filmed_s, 1) for packet in disk.files[0]][:2] == [1.5, 1.6]
    assert disk.files[0][-1].filmed_s == 39 * _STEP_S and not disk.ends


def test_files_are_ended_at_a_keyframe_and_continued_without_a_gap() -> None:
    plan, disk = RecordingPlan(_POLICY), _Disk()
    armed = ArmedState(armed_by="always", since_s=0.0)
    for n in range(200):
        disk.carry_out(plan.take(_packet(n, is_keyframe=n % 7 == 0), armed))

    assert disk.ends == [EndReason.SEGMENT] * 3
    assert disk.continued == [False, True, True, True]
    assert [p.pts_s for file in disk.files for p in file] == [n * _STEP_S for n in range(200)]
    assert all(file[0].is_keyframe for file in disk.files)


def test_a_file_ends_at_rest_after_a_movement_and_only_once() -> None:
    plan, disk = (
        RecordingPlan(CutPolicy(pre_roll_s=1.0, segment_s=60.0, quiet_s=3.0, ring_bytes=10**6)),
        _Disk(),
    )
    armed = ArmedState(armed_by="assigned", since_s=0.0)
    for n in range(400):  # 8 s still, 6 s of movement, 26 s still
        size = 5000 if 80 <= n < 140 else 500
        disk.carry_out(plan.take(_packet(n, is_keyframe=n % 10 == 0, size=size), armed))

    assert disk.ends == [EndReason.REST]
    assert 17.0 <= disk.files[1][0].filmed_s <= 19.0


def test_the_ring_is_bounded_in_bytes_and_begins_with_a_keyframe() -> None:
    ring = PacketRing(seconds=60.0, most_bytes=5000)
    for n in range(200):
        ring.add(_packet(n, is_keyframe=n % 10 == 0))
        assert ring.size_bytes <= 5000
    packets = ring.take_all()
    assert packets[0].is_keyframe and len(packets) > 30
    assert ring.size_bytes == 0 and not ring.take_all()
