"""Runtimes: what executes an algorithm's predict step. One module each, loaded only when used."""
