"""Stage 2: six-path cross-modal attention and BEiT refinement over the cached features. Start with model.py."""
