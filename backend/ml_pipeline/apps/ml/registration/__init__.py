"""Registration: from files that somebody sent to a bundle that can serve, worked out in a disposable child process."""
