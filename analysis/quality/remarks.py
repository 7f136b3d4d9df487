"""The remarks on a capture: stable codes, one sentence with the remedy each.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

SEVERITIES = ("ignore", "warn", "hold")
DEFAULT_SEVERITY = "warn"
_OTHER_DEFAULTS = {"athlete_undecided": "hold"}  # a guess here would be somebody else's clip

TEXTS: Mapping[str, str] = {
    "nobody": "Nobody is in the picture: point the camera at the athlete.",
    "too_dark": "It is too dark to see anybody: switch on more light.",
    "too_bright": "Much of the picture is blown out: turn the camera away from the light.",
    "against_light": "The athlete stands against the light: move the camera or close the blinds.",
    "blurred": "The picture is blurred: clean the lens and check the focus.",
    "feet_out_of_frame": "The feet are out of the picture: tilt the camera down or move it back.",
    "hands_out_of_frame": "The hands leave the picture: move the camera back.",
    "head_out_of_frame": "The head is out of the picture: tilt the camera up or move it back.",
    "too_small": "The athlete is small in the picture: move the camera nearer.",
    "hidden": "The athlete is hidden by others or by plates: clear the view or move the camera.",
    "frame_rate_low": "Too few pictures a second for this activity: set the camera to 30 or more.",
    "frames_uneven": "Pictures are missing or uneven: check the camera's disk and its load.",
    "times_jump": "The time stamps jump: the recorder lost its clock or its input. Every frame is "
    "used, the jump takes no time.",
    "frame_rate_assumed": "The recording does not say its frame rate, 30 a second are assumed: let "
    "the recorder write MP4 or MKV.",
    "camera_moved": "The camera has been moved since it was set up: put it back, or take a new "
    "reference picture.",
    "picture_frozen": "The picture never changes: restart the camera.",
    "picture_turned": "The picture is upside down or on its side: turn the camera.",
    "file_damaged": "The file is damaged: check the camera's disk. What can be read is used.",
    "athlete_undecided": "Two people move alike and it is not clear who the athlete is: say where "
    "athletes stand with the setting analysis.zone.",
    "activity_differs": "The movement does not look like what the station is set to: check who "
    "and what is assigned.",
    "begins_before": "The movement was under way when the recording began: start it earlier.",
    "goes_on": "The movement was not over when the recording ended: let it run longer.",
    "too_many_jumps": "There are more than the five jumps in a clip that the API expects at most: "
    "rest longer between sets, or lower jumping.rest_s.",
    "run_too_long": "The run is longer than the minute that the API expects: set "
    "running.longest_s to 60 or less.",
    "not_from_the_side": "The athlete is not seen from the side, as the API wants it: move the "
    "camera.",
    "others_in_picture": "Somebody else is in the picture: clear the view or move the camera.",
    "too_few_pixels": "The picture has fewer than 720 lines: set the camera to 720p or 1080p.",
    "take_limited": "The movement is longer than a clip may be: the rest of it stays in the "
    "recording.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """One remark on a capture."""

    code: str  # stable
    severity: str = DEFAULT_SEVERITY  # warn or hold
    message: str = ""  # one sentence with the remedy
    at_s: float | None = None  # presentation time; None: the whole capture


def remark(code: str, *, at_s: float | None = None, detail: str = "") -> Remark:
    """Return a remark by its code, with what was found where that helps.

    Raises:
        KeyError: there is no such code.
    """
    text = TEXTS[code]
    return Remark(code=code, message=f"{text} ({detail})" if detail else text, at_s=at_s)


def weighed(remarks: Iterable[Remark], severities: Mapping[str, str]) -> Sequence[Remark]:
    """Return the remarks as serious as the settings say, without those to be ignored.

    Of several with one code the first stays.
    """
    kept: dict[str, Remark] = {}
    for found in remarks:
        severity = severities.get(found.code, _default(found.code))
        if severity != "ignore" and found.code not in kept:
            kept[found.code] = Remark(
                code=found.code, severity=severity, message=found.message, at_s=found.at_s
            )
    return list(kept.values())


def _default(code: str) -> str:
    return _OTHER_DEFAULTS.get(code, DEFAULT_SEVERITY)
