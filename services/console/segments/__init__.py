"""What segments are worth: previews, history, quality, discovery; everything from published topics, read-only."""
