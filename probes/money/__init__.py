"""What requests cost, and what may still be spent."""
