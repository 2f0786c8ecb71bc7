"""The views behind the admin, one page to a module."""
