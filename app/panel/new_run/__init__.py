"""New run: from a file of texts to a quoted configuration, in steps."""
