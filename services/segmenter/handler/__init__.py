"""Gather, decide, remember: one handler for persons, one for accounts, one for boards."""
