"""From a recording to its clips: analysed, attributed, cut and entered in the outbox."""
