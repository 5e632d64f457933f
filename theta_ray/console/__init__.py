"""The command `theta-ray`: tables and clusters from a terminal."""
