"""Prompt templates, ``<agent>/<name>.prompt.md``; a package so that wheels carry them."""
