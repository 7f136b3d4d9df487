"""What became of sessions at the API: their states, results and videos."""
