"""Checks of everything a working station needs, each with what mends it."""
