"""The ways in: one exchange in the middle, and a thin door for each server interface."""
