"""The ground every context stands on: kernel, catalog, inventory."""
