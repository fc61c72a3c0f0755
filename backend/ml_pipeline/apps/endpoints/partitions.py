"""A table that PostgreSQL partitions by range of its primary key; every other database makes it plain."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState


class CreatePartitionedModel(migrations.CreateModel):
    """CreateModel with PARTITION BY RANGE over the primary key, and a default partition that takes every row."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        """Creates the table and, on PostgreSQL, its default partition."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        meta: Any = to_state.apps.get_model(app_label, self.name)._meta
        quote = schema_editor.connection.ops.quote_name
        plain = schema_editor.sql_create_table
        schema_editor.sql_create_table = f"{plain} PARTITION BY RANGE ({quote(meta.pk.column)})"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            schema_editor.sql_create_table = plain
        default = quote(f"{meta.db_table}_default")
        schema_editor.execute(f"CREATE TABLE {default} PARTITION OF {quote(meta.db_table)} DEFAULT")
