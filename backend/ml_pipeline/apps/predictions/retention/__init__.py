"""What an operator does to the log as it grows old: it is archived, pruned, and a unit erased from it."""
