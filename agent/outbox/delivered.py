"""When nothing of a capture is still owed, in SQL: on this rests that its original may go."""

# Beside the clips of a capture that was looked into, none may wait; a capture that is looked into
# again is `captured`, and one that cannot be read waits for a person.
ALL_DELIVERED = """
NOT EXISTS (SELECT 1 FROM entry_capture JOIN entry ON entry.id = entry_capture.entry_id
             WHERE entry_capture.capture_id = capture.id
               AND entry.state NOT IN ('uploaded', 'completed', 'discarded'))
"""
