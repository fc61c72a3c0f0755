"""Who may do what: API keys and their scopes, and the actor behind a request."""
