"""The only files that know a driver."""
