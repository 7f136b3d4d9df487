"""The state folder and its disk: places, moves that last, and how much room there is."""
