"""Spotter's look into a video: a path in, a report and clips out; knows nothing of the agent."""
