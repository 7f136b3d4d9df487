"""What became of the sessions at the API: their states, results and videos."""
