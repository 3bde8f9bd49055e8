"""Payments: money taken from somebody once, and given back, whoever processes it.

Cards are known by the vendor's tokens alone. What a vendor lacks is refused before anything is sent.
"""
