"""Frozen values and ports: what every other room speaks in."""
