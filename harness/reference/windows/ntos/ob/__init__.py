"""ob: objects, handles and their names."""
