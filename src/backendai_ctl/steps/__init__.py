"""One step a module: check, apply, undo."""
