"""Steps that bring the records database from one form to the next, run by alembic."""
