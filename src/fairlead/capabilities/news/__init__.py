"""What vendors tell of their own accord, in neutral words: a file for each family of events.

Each has `TYPES`, the whole list of its event types with what each means, and the struct that is the event's `data`.
"""
