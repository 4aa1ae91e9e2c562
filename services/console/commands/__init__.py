"""The commands of ``groundswell``, one file a group."""
