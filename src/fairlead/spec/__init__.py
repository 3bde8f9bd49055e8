"""What a provider declares, and the rules by which its answers are judged."""
