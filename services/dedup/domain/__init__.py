"""What dedup decides, as pure functions of a board's log: no driver, no clock, no thread."""
