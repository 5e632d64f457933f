"""Topics: clusters of embeddings, their words, their identity from day to day, and how good they are."""
