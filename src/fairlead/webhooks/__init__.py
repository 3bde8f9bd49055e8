"""What vendors send of their own accord: verified before anything else is done with it."""
