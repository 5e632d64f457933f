"""Batch embeddings, topics and networks of social text on Ray."""

__version__ = "0.1.0"
