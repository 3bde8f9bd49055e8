"""The event stream, and its sinks: metrics and logs."""
