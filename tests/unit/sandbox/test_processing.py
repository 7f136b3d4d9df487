"""How long the sandbox takes over a session, and what comes of it."""

from dataclasses import replace

import pytest

from agent.sandbox.account import Processing, ProcessingProgress, SandboxSession, parse_span
from agent.sandbox.api import metrics_of
from agent.sandbox.faults import NO_FAULT, FaultPlan

SESSION = SandboxSession(
    session_id="s1",
    title="a",
    activity="running",
    user_id="ann",
    endpoint="management",
    fields={},
    video_sha256="00",
    video_bytes=1,
    video_name="a.mp4",
    video_path=None,
    created_at=1000.0,
)


def test_spans_are_read() -> None:
    assert parse_span("5") == (5.0, 5.0)
    assert parse_span("2-90.5") == (2.0, 90.5)
    for text in ("", "x", "9-2", "-5", "1-2-3"):
        with pytest.raises(ValueError, match="seconds"):
            parse_span(text)


def test_each_session_draws_its_own_time_and_the_same_with_the_same_seed() -> None:
    def ready_after(seed: int) -> list[int]:
        processing = Processing((10.0, 20.0), FaultPlan())
        processing.seed(seed)
        sessions = [replace(SESSION, session_id=f"s{number}") for number in range(4)]
        for session in sessions:
            processing.begin(session)
        return [
            next(s for s in range(30) if processing.progress(session, now_s=1000.0 + s) == "ready")
            for session in sessions
        ]

    assert ready_after(1) == ready_after(1) != ready_after(2)
    assert all(10 <= seconds <= 20 for seconds in ready_after(1))


@pytest.mark.parametrize(
    ("fault", "after_5_s", "after_a_day"),
    [
        ("never-done", ProcessingProgress.WORKING, ProcessingProgress.WORKING),
        ("failed", ProcessingProgress.FAILED, ProcessingProgress.FAILED),
        ("no-rendering", ProcessingProgress.MEASURED, ProcessingProgress.MEASURED),
        ("late-session:s=60", ProcessingProgress.UNKNOWN, ProcessingProgress.READY),
        ("odd-metrics", ProcessingProgress.READY, ProcessingProgress.READY),
    ],
)
def test_what_goes_wrong_goes_wrong_with_one_session(
    fault: str, after_5_s: ProcessingProgress, after_a_day: ProcessingProgress
) -> None:
    processing = Processing((0.0, 0.0), FaultPlan([fault]))
    other = replace(SESSION, session_id="s2")
    processing.begin(SESSION)

    found = [processing.progress(SESSION, now_s=1000.0 + s) for s in (5.0, 86_400.0)]

    assert found == [after_5_s, after_a_day]
    assert processing.progress(other, now_s=1000.0) is ProcessingProgress.READY
    processing.ask_for_video(SESSION)
    assert (processing.progress(SESSION, now_s=1005.0) is ProcessingProgress.READY) == (
        fault in {"no-rendering", "odd-metrics"}
    )


def test_a_session_has_its_own_numbers_and_the_same_whenever_it_is_asked() -> None:
    again = replace(SESSION, session_id="s2")
    other = replace(SESSION, video_sha256="01")

    assert (
        metrics_of(SESSION, NO_FAULT) == metrics_of(again, NO_FAULT) != metrics_of(other, NO_FAULT)
    )
