"""Monitoring: what algorithms answer and how right that was, folded into totals of hours, days and weeks."""
