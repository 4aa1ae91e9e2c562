"""The embedded stack: a broker, a mail sink and the four services as processes of this machine."""
