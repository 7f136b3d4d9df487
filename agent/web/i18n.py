"""The page's language: English sentences in the code, translated by gettext catalogues.

A catalogue is `locale/<language>/LC_MESSAGES/spotter.po`; `make messages` brings it up to date
with the code and compiles it.  A language is offered as soon as its compiled catalogue is there.
"""

import gettext
from collections.abc import Mapping

from agent.outbox.models import ClipTarget
from agent.settings.model import LOCALES

DOMAIN = "spotter"
_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86400.0


def N_(message: str) -> str:  # noqa: N802  # gettext's own name for it
    """Mark a message for the catalogues that is translated where it is shown."""
    return message


# What the agent's codes mean to a coach.
STATES: Mapping[str, str] = {  # of the station
    "stopped": N_("Recording off"),
    "filming": N_("Recording"),
    "analysing": N_("Analysing"),
    "needs": N_("Action needed"),
    "offline": N_("Offline, recording locally"),
    "sending": N_("Uploading"),
    "safe": N_("All uploaded"),
    "idle": N_("Ready"),
}
UPLOADS_PAUSED: Mapping[str, str] = {  # why nothing is uploaded; with n, how many takes wait
    "network": N_("No internet. Clips are stored and upload automatically."),
    "tls": N_("The connection is not secure. Check the station's clock and network."),
    "not_our_api": N_("The network answers instead of AiKYNETIX. Does it require a login?"),
    "no_key": N_("No API key. Clips are stored until there is one."),
    "key": N_("The API key is rejected. Clips are stored until it works again."),
    "account": N_("The account is rejected. Clips are stored; contact AiKYNETIX."),
    "server_asks_to_wait": N_("AiKYNETIX asked for a pause. Uploads resume automatically."),
    "server": N_("AiKYNETIX has a problem. Uploads resume automatically."),
    "many_clips_fail": N_("Uploads keep failing. Spotter retries automatically."),
    "plan_limit": N_("The plan's sessions are used up. Clips waiting: %(n)s."),
}
UPLOADS_PAUSED_OTHERWISE = N_("Uploads are paused. Everything is stored.")
INTAKE_PAUSED: Mapping[str, str] = {  # why new recordings wait
    "disk_full": N_("Disk full: new recordings wait. Uploads continue and free up space."),
    "folder_missing": N_(
        "The capture folder cannot be read: new recordings wait. Check its permissions."
    ),
    "folder_in_use": N_(
        "Another station uses this capture folder: new recordings wait. Give each its own folder."
    ),
}
INTAKE_PAUSED_OTHERWISE = N_(
    "The disk of the recordings is missing or read-only: new recordings wait. Check the disk."
)
ENTRY_STATES: Mapping[str, str] = {  # of a take
    "ready": N_("Waiting to upload"),
    "fresh": N_("Uploading soon"),
    "held": N_("To review"),
    "uploading": N_("Uploading"),
    "uncertain": N_("Uploaded, being verified"),
    "uploaded": N_("Uploaded"),
    "completed": N_("Uploaded and analysed"),
    "dead": N_("Rejected by AiKYNETIX"),
    "discarded": N_("Discarded"),
}
REASONS: Mapping[str, str] = {  # why a take or a recording waits for a person
    "unassigned": N_("No athlete was assigned."),
    "two_athletes": N_("The athlete changed during the take."),
    "recording_time_unknown": N_("The recording time is unknown."),
    "analysis_failed": N_("The analysis failed. Check the clip."),
    "analysis_hold": N_("The analysis is unclear. Watch the clip, then assign the athlete."),
    "key_cannot_send_for_others": N_("The API key can only upload its owner's clips."),
    "record_damaged": N_(
        "The last decision about this take was lost. Decide again: upload or discard."
    ),
    "outcome_unknown": N_(
        "Uploaded, but it is unknown whether it arrived. Check at AiKYNETIX first."
    ),
    "refused_for_athlete": N_("AiKYNETIX rejects this athlete."),
    "activity_not_in_plan": N_("The account's plan does not include this activity."),
    "clip_damaged": N_("The clip file is damaged."),
    "too_large": N_("Too large for AiKYNETIX. A smaller version is being made."),
    "capture_missing": N_("The file is missing. Copy the same video to the capture folder again."),
    "capture_damaged": N_("The file is damaged. Copy the whole video to the capture folder again."),
    "filming_may_be_stopped": N_("Recording may have been off at that time. Keep it?"),
    "guest": N_("A guest's take: link the guest to an athlete."),
    "held_by_person": N_("On hold by you."),
    "fails_at_server": N_("AiKYNETIX cannot process it. Spotter retries once a day."),
    "next_recording": N_("The movement was not finished. Waiting for the next recording."),
    "same_moment": N_("Another take shows part of the same moment. Compare both."),
}
OTHER_REASON = N_("Waiting for your decision.")
WARNINGS: Mapping[str, str] = {  # about a take, each with its remedy
    "nobody": N_("Nobody in the picture. Point the camera at the athlete."),
    "too_dark": N_("Too dark. Turn on more light."),
    "too_bright": N_("Overexposed. Turn the camera away from the light."),
    "against_light": N_("Backlit. Move the camera or close the blinds."),
    "blurred": N_("Blurred. Clean the lens and check the focus."),
    "feet_out_of_frame": N_("Feet cut off. Tilt the camera down or move it back."),
    "hands_out_of_frame": N_("Hands cut off. Move the camera back."),
    "head_out_of_frame": N_("Head cut off. Tilt the camera up or move it back."),
    "too_small": N_("Athlete too small in the picture. Move the camera closer."),
    "hidden": N_("Athlete hidden. Clear the view or move the camera."),
    "frame_rate_low": N_("Frame rate too low. Set the camera to 30 fps or more."),
    "frames_uneven": N_("Frames are missing. Check the camera's disk."),
    "camera_moved": N_("The camera has moved. Put it back."),
    "picture_frozen": N_("The picture is frozen. Restart the camera."),
    "picture_turned": N_("The picture is rotated. Turn the camera."),
    "times_jump": N_("The recording's timestamps jump. The gap was cut out."),
    "frame_rate_assumed": N_("The frame rate is an assumption. Record as MP4 or MKV."),
    "file_damaged": N_("The file is damaged. Check the camera's disk."),
    "athlete_undecided": N_("Two people move alike. Keep others out of the picture."),
    "effort_doubtful": N_("This may not be a take. Watch it, then upload or discard it."),
    "activity_differs": N_("This looks like another activity. Check the assignment."),
    "begins_before": N_("The start is missing. Start recording earlier."),
    "goes_on": N_("The end is missing. Keep recording longer."),
    "too_many_jumps": N_("More than five jumps in one clip."),
    "run_too_long": N_("More than one minute of running in one clip."),
    "not_from_the_side": N_("Not recorded from the side. Move the camera."),
    "others_in_picture": N_("Someone else is in the picture."),
    "too_few_pixels": N_("Low resolution. Set the camera to 720p or more."),
    "take_limited": N_("Longer than a clip may be. The rest stays on the station."),
    "assignment_changed_within_10_s": N_("Athlete changed within 10 s of this take. Correct?"),
    "filmed_at_another_pace": N_("Recorded faster or slower than it plays."),
    "recording_time_unknown_but_one_athlete_since": N_("The recording time is unknown."),
    "smaller_rendition": N_(
        "Uploaded in a smaller version: the original is too large for AiKYNETIX."
    ),
    "barbell_mass_not_given": N_("Uploaded without a weight. AiKYNETIX assumes 100 kg."),
}
FAULTS: Mapping[str, str] = {  # of a recording that could not be processed
    "unreadable": N_("Unreadable video file."),
    "incomplete": N_("The recording stopped before its end."),
    "no_video": N_("The file contains no video."),
    "refused": N_("Not a standard video, or its resolution is far too high."),
    "crashed": N_("The analysis crashed."),
    "stalled": N_("The analysis stalled."),
    "memory": N_("It needs more memory than the station has."),
    "no_space": N_("The disk was full."),
    "internal": N_("Internal error."),
}
OTHER_FAULT = N_("It could not be processed.")
ANALYSIS_STATES: Mapping[str, str] = {  # of an uploaded take
    "waiting": N_("Analysis in progress"),
    "failed": N_("Analysis failed"),
    "gone": N_("No longer at AiKYNETIX"),
    "not_seen": N_("No analysis received"),
}
RESENDS: Mapping[str, str] = {  # how far a take is on its way to the right athlete; with detail
    "asked": N_("Will be uploaded again in a moment."),
    "sending": N_("Uploading again; the wrong session is deleted after that."),
    "deleting": N_("Uploaded again; the wrong session is being deleted."),
    "refused": N_("Uploaded again, but AiKYNETIX did not delete the wrong session: %(detail)s"),
}
BODY_MEASURES: Mapping[str, str] = {  # that the API needs
    "weight": N_("body weight"),
    "height": N_("height"),
    "leg_length": N_("leg length"),
    "ycom": N_("centre-of-mass height"),
}
ACTIVITIES: Mapping[str, str] = {  # of a station
    "running": N_("Running"),
    "jumping": N_("Jumping"),
    "weightlifting": N_("Weightlifting"),
}
EXERCISES: Mapping[str, str] = {  # by their names in lower case, with underscores
    "snatch": N_("Snatch"),
    "clean": N_("Clean"),
    "clean_and_jerk": N_("Clean and jerk"),
    "countermovement_jump": N_("Countermovement jump"),
    "drop_jump": N_("Drop jump"),
}
METRICS: Mapping[str, str] = {  # by their names in lower case, without their units
    "peak velocity": N_("Peak velocity"),
    "mean velocity": N_("Mean velocity"),
    "peak power": N_("Peak power"),
    "mean power": N_("Mean power"),
    "bar height": N_("Bar height"),
    "cadence": N_("Cadence"),
    "ground contact time": N_("Ground contact time"),
    "knee angle max": N_("Knee angle max"),
    "jump height": N_("Jump height"),
    "flight time": N_("Flight time"),
    "contact time": N_("Contact time"),
    "bar path": N_("Bar path"),
    "reps": N_("Reps"),
    "peak force": N_("Peak force"),
}


class Texts:
    """One language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._catalogue = gettext.translation(DOMAIN, LOCALES, [language])

    def gettext(self, message: str, /, **values: object) -> str:
        """Return a message in this language, with its gaps filled."""
        return self.translated(message) % values

    def ngettext(self, one: str, many: str, n: int, /, **values: object) -> str:
        """Return the form of a message that fits a number, `n` in it, with its gaps filled."""
        return self.plural(one, many, n) % {"n": n, **values}

    def translated(self, message: str) -> str:
        """Return a message in this language as it is, its gaps open."""
        return self._catalogue.gettext(message)

    def plural(self, one: str, many: str, n: int) -> str:
        """Return the form of a message that fits a number as it is, its gaps open."""
        return self._catalogue.ngettext(one, many, n)

    def number(self, value: float, *, digits: int = 1, grouped: bool = False) -> str:
        """Return a number as it is written in this language, without trailing zeros."""
        text = f"{value:,.{digits}f}" if grouped else f"{value:.{digits}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
        # Translators: one thousand two hundred and thirty-four and a half, as it is written.
        comma, point = _separators(self.translated("1,234.5"))
        return text.translate({ord(","): comma, ord("."): point})

    def duration(self, seconds: float) -> str:
        """Return a length of time as people say it: 45 s, 12 min, 3 h, 2 days."""
        if seconds >= _DAY_S:
            return self.ngettext("%(n)s day", "%(n)s days", round(seconds / _DAY_S))
        if seconds >= _HOUR_S:
            return self.gettext("%(n)s h", n=round(seconds / _HOUR_S))
        if seconds >= _MINUTE_S:
            return self.gettext("%(n)s min", n=round(seconds / _MINUTE_S))
        return self.gettext("%(n)s s", n=max(0, round(seconds)))


def _separators(example: str) -> tuple[str, str]:
    """Return what stands between thousands and before decimals in `1,234.5` as it is translated."""
    return example[1:-5], example[-2]


LB_KG = 0.45359237  # the international avoirdupois pound, exactly
_UNITS_KG = {"kg": 1.0, "lb": LB_KG}


class Wording:
    """The page's words for movements and masses."""

    def __init__(self, texts: Texts, unit: str) -> None:
        self.texts = texts
        self.unit = unit
        self.point = texts.number(0.5)[1]  # the decimal point of the language
        self._unit_kg = _UNITS_KG[unit]

    def movement(self, done: ClipTarget) -> str:
        """Return a movement in a few words: Snatch, 62.5 kg."""
        parts = [self.exercise(done.exercise) if done.exercise else self.activity(done.activity)]
        if done.barbell_mass_kg is not None:
            parts.append(self.mass(done.barbell_mass_kg))
        if done.incline_deg:
            parts.append(f"{self.texts.number(done.incline_deg)}°")
        return ", ".join(parts)

    def activity(self, activity: str) -> str:
        """Return an activity's name."""
        return self.texts.gettext(ACTIVITIES[activity])

    def exercise(self, exercise: str) -> str:
        """Return an exercise's name."""
        known = EXERCISES.get(exercise.lower().replace(" ", "_"))
        return exercise if known is None else self.texts.gettext(known)

    def mass(self, mass_kg: float) -> str:
        """Return a mass with its unit."""
        return f"{self.texts.number(self.shown(mass_kg))} {self.unit}"

    def shown(self, mass_kg: float) -> float:
        """Return a mass as a number in the page's unit."""
        return round(mass_kg / self._unit_kg, 1)

    def kilograms(self, shown: float) -> float:
        """Return a mass that was given in the page's unit, in kilograms."""
        return round(shown * self._unit_kg, 2)
