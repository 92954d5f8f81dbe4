"""What is on disk, read into core values: drip.yaml, sequence files, templates. The only home of yaml; writes nothing.

The one exception is `starter`, which makes the files of a new project and never overwrites one.
"""
