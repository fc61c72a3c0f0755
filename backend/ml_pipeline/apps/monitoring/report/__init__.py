"""The report of an endpoint: how it does, for people, as one page of HTML."""
