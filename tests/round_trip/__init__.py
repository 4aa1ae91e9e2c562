"""Mixed records of every channel, each published three times in random order with edits and deletions between, against a pure replay."""
