"""The site that a herd comes to: one cached view that takes its time, and notes that it ran."""

from __future__ import annotations

import importlib
import json
import os
import time

from flask import Flask

settings = json.loads(os.environ["HERD"])
app = Flask("herd")
app.secret_key = "bench"
cache = importlib.import_module(settings["module"]).Cache(app, config=settings["config"])


@app.get("/ready")
def ready() -> str:
    """Who answers: a server is up when all of its workers are."""
    return str(os.getpid())


@app.get("/slow/<int:number>")
@cache.cached(3600)
def slow(number: int) -> str:
    """One line for each run, written in one piece by whichever worker it is."""
    log = os.open(settings["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, f"{number}\n".encode())
    os.close(log)
    time.sleep(settings["seconds"])
    return f"answer {number}"
