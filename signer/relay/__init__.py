"""Worker processes: what they and the main process say to each other, and how they are started and kept."""
