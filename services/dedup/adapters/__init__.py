"""The only files of dedup that import a driver."""
