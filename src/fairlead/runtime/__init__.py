"""Drives the operations of providers: calls, routes, failover."""
