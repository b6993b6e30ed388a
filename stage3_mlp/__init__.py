"""Stage 3: the polar head (intensity, angle), its test and its report. Start with head.py."""
