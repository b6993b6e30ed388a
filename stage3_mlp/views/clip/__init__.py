"""The page of a video: start with page.py; its scripts lie beside it."""
