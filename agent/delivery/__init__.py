"""From a clip in the outbox to a session at the API."""
