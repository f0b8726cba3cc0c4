"""Alembic's entry: applies the migrations on the connection that ``sitin.kit.migrate`` hands in."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
