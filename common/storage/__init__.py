"""Data sets and caches behind an address, ``s3://bucket/folder`` or another that fsspec knows; see docs/storage.md.

Stages work on local files alone. address.py says what is an address, remote.py speaks with what is behind it, data.py
makes a data set look local with its videos fetched one by one, copies.py keeps a local cache and its address alike.
"""
