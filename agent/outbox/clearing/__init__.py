"""What may go from the disk, and its going."""
