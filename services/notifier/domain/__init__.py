"""The notifier's decisions: values in, values out."""
