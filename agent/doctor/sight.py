"""Whether this box can look into videos: one pose in a known picture, and the codecs."""

from collections.abc import Mapping
from pathlib import Path

from agent.doctor.finding import Finding, broken, fine, warning
from agent.errors import AnalysisError
from agent.intake.child import AnalysisChild, ChildLimits

_SLOW_MS = 150.0  # ten times the machine on which the analysis was measured


def check_sight(model: Path | None) -> list[Finding]:
    """Let the analysis itself look, in its child process."""
    child = AnalysisChild(limits=ChildLimits(), check=lambda: None, model=model)
    try:
        told = child.ask("check", model=None if model is None else str(model))
        codecs = child.ask("codecs")
    except AnalysisError as error:
        return [
            broken(
                "pose",
                f"the analysis does not run: {error}",
                "mend the lines above first; else install Spotter again",
            )
        ]
    finally:
        child.close()
    return [judge_pose(told), judge_codecs(codecs)]


def judge_pose(told: Mapping[str, object]) -> Finding:
    """Judge what the analysis said of the known picture."""
    pose_ms = told.get("pose_ms")
    if not told.get("found") or not isinstance(pose_ms, int | float):
        return broken(
            "pose",
            "nobody is found in the picture that is known to hold an athlete",
            "remove analysis.model from the settings, or install Spotter again",
        )
    if pose_ms > _SLOW_MS:
        return warning(
            "pose", f"found, but {pose_ms:.0f} ms a picture is slow", "is the box too hot or busy?"
        )
    return fine("pose", f"found in the known picture, {pose_ms:.0f} ms a picture")


def judge_codecs(told: Mapping[str, object]) -> Finding:
    """Judge which codecs the analysis lacks."""
    missing = told.get("missing")
    if isinstance(missing, list) and not missing:
        return fine("codecs", "those of cameras and phones are there")
    names = ", ".join(map(str, missing)) if isinstance(missing, list) else "unknown"
    return broken("codecs", f"missing: {names}", "install Spotter again from its lock file")
