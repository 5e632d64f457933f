"""All tables of a night, kept up to date: refresh, deletions, new models."""
