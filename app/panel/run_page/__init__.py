"""The page of one run: its chat, and what it does, costs and comes to."""
