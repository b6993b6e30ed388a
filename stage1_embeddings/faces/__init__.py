"""Faces: found (detect.py), followed (tracking.py), chosen (choice.py), cut out (align.py); or ready (ready.py)."""
