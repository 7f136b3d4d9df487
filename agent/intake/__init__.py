"""From a file in the capture folder to clips that wait in the outbox."""
