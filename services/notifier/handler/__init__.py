"""Gather, decide, remember: one module a topic, and one for what falls due."""
