"""The review page: what only a person can say, one item after the other, by keyboard."""
