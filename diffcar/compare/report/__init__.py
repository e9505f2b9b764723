"""A comparison as a page for any browser."""
