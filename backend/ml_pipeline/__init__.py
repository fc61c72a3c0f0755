"""ML_Pipeline: from a trained model to production, in one Django product."""

__version__ = "0.1.0"
