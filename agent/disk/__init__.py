"""The state folder and its disk: files, mounts, free space, lock."""
