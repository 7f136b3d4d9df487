"""The outbox: what the station has taken in, and where each clip is on its way."""
