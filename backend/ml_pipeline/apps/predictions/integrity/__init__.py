"""What makes the log of predictions checkable: its chains read and judged, their heads signed day by day."""
