"""The second record: every change, written to plain files before it is committed."""
