"""Putting the parts of a station together, as its settings say."""
