"""``python -m common.doctor``: says in a sentence where even the packages that it is made of are missing."""

import sys

try:
    from common.doctor.cli import main
except (ImportError, SyntaxError) as error:
    sys.exit(
        f"error: the doctor itself can't start with Python {sys.version.split()[0]} at {sys.executable}: {error}. "
        "Run `make install`, then .venv/bin/python -m common.doctor (Python 3.11 or newer)."
    )

if __name__ == "__main__":
    main(prog_name="python -m common.doctor")
