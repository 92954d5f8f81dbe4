"""The places of the dashboard, one per module."""
