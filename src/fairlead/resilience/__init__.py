"""Strategies: small state machines with `admit` and `record`. No HTTP, no clock: the time is an argument."""
