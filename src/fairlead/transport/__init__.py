"""The only room that imports the HTTP client."""
