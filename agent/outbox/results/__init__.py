"""What came of a delivered clip, and what is still asked about it."""
