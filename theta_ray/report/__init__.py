"""Committed tables become one page that a person wants to look at."""
