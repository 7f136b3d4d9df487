"""What the settings say about footage, in the words of the analysis."""

from agent.settings import Settings


def look_options(settings: Settings) -> dict[str, object]:
    """Return what the analysis is asked for whenever it looks into a capture."""
    analysis = settings.analysis
    return {
        "rules": {
            name: getattr(settings, name).model_dump()
            for name in ("running", "jumping", "weightlifting")
        },
        "zone": _polygon(analysis.zone),
        "severities": settings.quality.model_dump(),
        "model": None if analysis.model is None else str(analysis.model),
        "reference": None if analysis.reference is None else str(analysis.reference),
    }


def _polygon(zone: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """Return the corners of a zone; two of them are a rectangle's."""
    if len(zone) != 2:
        return list(zone)
    (left, top), (right, bottom) = zone
    return [(left, top), (right, top), (right, bottom), (left, bottom)]
