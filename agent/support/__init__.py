"""One archive for whoever helps: what they need to know of a station, and nobody's name."""
