"""The demo: the embedded stack, fed with a sample, with what came of it."""
