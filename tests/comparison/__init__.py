"""What clients say of answers that servers really send, held to what happened."""
