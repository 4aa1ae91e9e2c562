"""The segmenter's stores: one SQLite file, or a MongoDB database."""
