"""Studies: many runs of stages 2 and 3 from one cache, put side by side. Start with chain.py."""
