"""The steps of remembering and of finding: each a function that can be read, and tried, by itself."""
