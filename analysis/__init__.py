"""The video analysis: a path in, a report and clips out; independent of the agent."""
