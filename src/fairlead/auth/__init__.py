"""How a request is signed. Pure: a request and credentials in, a signed request out."""
