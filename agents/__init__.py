"""The agents: each with its tools, its prompts, its typed decision and its rule policy."""
