"""Batch prediction: files of rows, scored as jobs in the background."""
