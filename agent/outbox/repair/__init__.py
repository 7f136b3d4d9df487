"""What sets an outbox right: what a start makes good, and what is made anew."""
