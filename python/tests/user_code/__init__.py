"""What users of Flask-Caching write, with types: run by test_user_code.py, and checked by mypy and
pyright at their strictest in `make lint`."""
