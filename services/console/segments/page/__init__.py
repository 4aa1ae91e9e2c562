"""The quality report as one HTML file that loads nothing."""
