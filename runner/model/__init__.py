"""The vocabulary: immutable values that every other module speaks in."""
