"""The loops that ``bench/worker.py`` compares; each module is a program of its own."""
