"""The Hugging Face Hub as publishing and submitting need it: what is there, and safe errors.

``remote`` reads the state of a repository, ``hub_errors`` says what went wrong in one line, and
``redaction`` keeps tokens out of everything printed. Nothing here writes.
"""
