"""The report of a test: one page for people, in plain words, from the test's own row, its arms and its path alone."""
