"""The coverage-guided fuzzer of what reads outside bytes."""
