"""Stand-in servers, one per vendor, written from the vendor's published contract and never from our adapter."""
