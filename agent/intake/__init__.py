"""From a file in the capture folder to a capture in the outbox."""
