"""The only reader of files and environment. It parses references to secrets; the vault resolves them."""
