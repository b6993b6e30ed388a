"""Stage 1: videos become per-frame features in the cache. Start with extract.py."""
