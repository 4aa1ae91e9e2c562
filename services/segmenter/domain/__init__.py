"""Pure decisions: definitions and their evaluation, a person's and a board's state, demand."""
