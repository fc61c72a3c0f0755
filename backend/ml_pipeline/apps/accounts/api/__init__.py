"""REST views of teams, their members, API keys, and the audit of changes."""
