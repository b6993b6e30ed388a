"""What the three stages share: the contract of the cache, recipes, time, metrics. Imports no stage."""
