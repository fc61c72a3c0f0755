"""`python -m ml_pipeline.cli`: the same as `ml-pipeline`."""

from ml_pipeline import cli

cli.main()
