"""What REST views share: strict parsers, keyset lists, allow-listed filters, one shape of error. Knows no model."""
