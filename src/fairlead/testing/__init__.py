"""The public test kit: stand-in servers for vendors, with faults, and a clock that obeys."""
