"""Background work: jobs in the database, the leases under which workers do them, and the worker itself."""
