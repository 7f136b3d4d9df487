"""Views: what the pages show, read from the outbox."""
