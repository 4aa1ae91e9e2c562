"""The only files of ingest that import a driver."""
