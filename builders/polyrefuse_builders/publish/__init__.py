"""Publish a dataset folder to the Hugging Face Hub: first the plan, then exactly that.

Reads in this order: ``local_files`` (what may be published), `polyrefuse.hub.remote` (what is
there), ``plan`` (the difference), ``execute`` (one commit or pull request), ``command`` (dry run,
then ``--yes``).
"""
