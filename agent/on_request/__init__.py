"""What a person asks of the API for one session, daemon or not."""
