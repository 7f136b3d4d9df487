"""What outlives the database: every change, in plain files beside it, before it is committed."""
