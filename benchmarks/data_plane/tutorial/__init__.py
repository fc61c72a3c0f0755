"""The widely followed way to serve a model from Django: DRF, a DataFrame of one row, one row saved for each request."""
