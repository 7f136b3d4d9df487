"""The daemon: wiring, supervision of the stages, reload, and systemd."""
