"""The Django project: settings, routes, and the two entry points that servers load."""
