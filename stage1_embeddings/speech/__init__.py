"""What is said in a clip that has no transcript; start at recogniser.py."""
