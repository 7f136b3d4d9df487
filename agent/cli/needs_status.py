"""What `spotter status` says that only a person can move on, and how."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.outbox.lanes import LaneState
    from agent.settings import Settings
    from agent.station.camera import Camera

_KEYS = {
    "no_key": "no API key: uploads are paused",
    "key": "the API rejects the key: uploads are paused",
}


def needs_document(
    settings: "Settings",
    counts: dict[str, dict[str, int]],
    lane: "LaneState",
    *,
    start: str | None,
    camera: "Camera",
    now_s: float,
) -> list[dict[str, str]]:
    """Return what must be done, the most urgent first.

    Args:
        settings: of the station.
        counts: of captures and entries by state.
        lane: the way to the API.
        start: how the daemon is started; None: it runs.
        camera: what it does.
        now_s: Unix time.
    """
    from agent.station.camera import camera_words
    from agent.station.needs import needs_person

    needs = []
    if start is not None:
        needs.append({"what": "daemon", "told": "the daemon is not running", "do": start})
    told = _KEYS.get(lane.paused_reason or "")
    if told is not None:
        needs.append({"what": "key", "told": told, "do": f"sudoedit {settings.api.key_file}"})
    if lane.paused_reason == "plan_limit":
        told = "the plan's session limit is reached: uploads resume automatically after that"
        needs.append(
            {"what": "plan_limit", "told": told, "do": "delete sessions or upgrade the plan"}
        )
    if not settings.paths.capture.is_dir():
        told = f"the capture folder {settings.paths.capture} is missing: nothing is ingested"
        needs.append({"what": "capture_folder", "told": told, "do": "spotter doctor"})
    if camera.is_faulty:
        told = f"the camera is {camera_words(camera, now_s=now_s)}"
        needs.append({"what": "camera", "told": told, "do": "spotter doctor"})
    return needs + [
        {"what": need.state, "told": need.told, "do": need.command} for need in needs_person(counts)
    ]


def needs_lines(needs: object) -> list[tuple[str, str]]:
    """Return the same for people, a line each."""
    assert isinstance(needs, list)  # made above
    lines = [f"{need['told']} ({need['do']})" for need in needs] or ["none"]
    return [("" if number else "action required", line) for number, line in enumerate(lines)]
