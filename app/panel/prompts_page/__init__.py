"""Prompts: the templates that models read, and what they come to on a text."""
