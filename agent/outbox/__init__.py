"""The outbox: what was admitted, and the state of every clip."""
