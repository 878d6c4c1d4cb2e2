"""The published procedures, written as they were published: slow, and for comparison only."""
