"""The data plane: routing snapshot, prediction service, journal, and the doors that lead to them."""
