"""Reading videos: pictures and sound with their own presentation times."""
