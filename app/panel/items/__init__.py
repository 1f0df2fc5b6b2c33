"""The items page: every text with its labels, and all that is known of one."""
