"""The daemon: its stages, its start and end, and what the service manager hears of it."""
