"""The paper's equations once more, in float64 NumPy, written from the paper and one frame at a time.

They share no line with the code under test, and are as slow as they are plain.
"""

import numpy as np

#: How near float32 must come to them, relative to the value and, for values of order 1, absolutely.
TOLERANCE = 1e-5


def assert_close(ours, theirs):
    """``ours``, a float32 tensor or array, agrees with ``theirs``, float64, within ``TOLERANCE``; NaN where NaN."""
    ours = ours.detach().numpy() if hasattr(ours, "detach") else np.asarray(ours)
    assert ours.dtype == np.float32 and np.asarray(theirs).dtype == np.float64
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE, rtol=TOLERANCE)
