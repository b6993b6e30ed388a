"""What finished files of a features folder say of themselves, so that they needn't be opened. Start with index.py."""
