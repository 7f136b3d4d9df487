"""Who is who at the station, and what was said there."""
