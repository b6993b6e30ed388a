"""Will this machine do it, and what is missing? ``python -m common.doctor``; start with cli.py."""
