"""Categorical runs: predictions of emotion classes, their score, pictures and report."""
