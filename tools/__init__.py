"""What agents use and no LLM decides: pool, ledger, student, statistics, the stop rule."""
