"""The pages of a run: of its test, and of whatever state it is in."""
