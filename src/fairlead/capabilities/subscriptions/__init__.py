"""Subscriptions: what somebody pays for again and again, and what they may do for it."""
