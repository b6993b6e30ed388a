"""The corpus that the project renders itself: drawn faces with synthetic voices, in Aff-Wild2's layout."""

from common.datasets.demo.corpus import render_corpus
from common.datasets.demo.plan import CORPUS_VERSION

__all__ = ["CORPUS_VERSION", "render_corpus"]
