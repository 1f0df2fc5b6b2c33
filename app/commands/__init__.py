"""One file a command, or two that belong together; what is heavy is imported when one runs."""
