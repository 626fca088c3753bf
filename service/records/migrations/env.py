"""Run by Alembic for each migration: the connection, already in its transaction, comes from `migrations`."""

from alembic import context

from service.records.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's too, since `engines` begins its transactions itself: a migration happens whole or not at all.
    transactional_ddl=True,
    # SQLite alters little in place; Alembic then copies the table.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
