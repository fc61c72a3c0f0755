"""A/B tests: who is asked, what came of it, and what follows from that."""
