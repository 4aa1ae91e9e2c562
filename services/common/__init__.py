"""Ground floor: only what must not diverge between services."""
