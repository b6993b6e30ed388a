"""The paper's equations once more, in float64 NumPy, written from the paper and one frame at a time.

They share no line with the code under test, and are as slow as they are plain.
"""
