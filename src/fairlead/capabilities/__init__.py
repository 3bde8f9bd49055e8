"""Neutral interfaces and models: what an application asks for, whoever serves it."""
