"""Groundswell's stream processors and what they share."""
