"""Near-duplicate requests gather into ideas."""
