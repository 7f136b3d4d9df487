"""The station: who was on it at which time, and when a capture was recorded."""
