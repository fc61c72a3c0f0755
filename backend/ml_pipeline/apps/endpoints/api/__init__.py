"""The REST API of the registry: serializers and views that translate, call a noun module, and translate back."""
