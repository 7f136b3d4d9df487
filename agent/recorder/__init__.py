"""The recorder: a process that films one camera, and stores only what it was told to film."""
