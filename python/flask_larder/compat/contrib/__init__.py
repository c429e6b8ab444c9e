"""Stores that Flask-Caching keeps apart from the others."""
