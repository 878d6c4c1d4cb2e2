"""Faults on purpose: kills at random moments, full disks, damaged files, changed inputs."""
