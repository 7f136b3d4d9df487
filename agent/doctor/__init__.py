"""Checks of everything that a working station needs, each with its remedy."""
