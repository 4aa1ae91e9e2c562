"""What ingest decides: values in, values out. Nothing here does I/O, reads a clock or knows a driver."""
