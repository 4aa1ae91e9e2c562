"""The limits that operators ask about, each measured on service processes of their own."""
