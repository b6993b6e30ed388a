"""Trained runs side by side: which is better, how sure that is, and in what they differ. Start with compare.py."""
