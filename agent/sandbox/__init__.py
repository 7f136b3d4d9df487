"""The sandbox: a local API server for demo, drill and tests."""
