"""Everyone who asked hears once."""
