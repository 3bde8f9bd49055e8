"""One file per vendor, found by its name and never imported by name elsewhere."""
