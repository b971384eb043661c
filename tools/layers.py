#!/usr/bin/env python3
"""The layer rule of the folders under src/ (replaced by the full checker)."""
