"""The stand-in API server, and the drawn athlete with its camera: for rehearsing and for tests."""
