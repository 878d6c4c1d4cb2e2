"""Tiny random models of every decoder-only type that the installed transformers knows."""
