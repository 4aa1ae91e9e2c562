"""Front door: every channel's record becomes one canonical event by a resolved person."""
