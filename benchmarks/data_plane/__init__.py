"""The benchmark of the data plane: the product beside servers that do less, on one core. `make bench` runs it."""
