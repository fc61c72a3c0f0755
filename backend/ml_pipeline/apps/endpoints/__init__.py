"""The API endpoints layer: endpoints, algorithms, their statuses, the requests they answered, and feedback on them."""
