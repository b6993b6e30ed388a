"""The overlay video: start with overlay.py, which draws; rendition.py writes."""
