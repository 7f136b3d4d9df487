"""What sets an outbox right: whether it can be trusted, and what a start makes good or anew."""
