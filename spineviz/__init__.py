"""Animated visualiser of spine-tumour procedures, driven by one shared geometry."""

__version__ = "0.1.0"
