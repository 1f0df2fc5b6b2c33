"""Faces of a run: the command line, and the demo that needs no key."""
