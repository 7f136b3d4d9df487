"""From a clip that waits in the outbox to a session at the API."""
