"""The station: who was on it at which moment, and when a capture was filmed."""
