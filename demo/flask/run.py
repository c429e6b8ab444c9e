"""Serve the catalogue: `python demo/flask/run.py`. Stops with Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import socket
import sys
import time

import waitress
from shop import create_app, database

FIRST_PORT = 5000
THREADS = 8

WHAT_TO_TRY = """
What to try. The footer of every page says what it took; so does the log below.

  cold, then warm   curl -s -o /dev/null -w '%{{time_total}} s\\n' '{site}/search?q=lamp'    (twice)
                    or with the headers: curl -s -D - -o /dev/null {site}/category/1
  ?page=2           {site}/category/1?page=2    an entry of its own
  sidebar           {site}/sign-in    become somebody; the box on the home page is a fragment for each user
  kept a day        the categories on {site}/ ; prices are kept 5 minutes
  a write           {site}/product/1    open "Edit this product", save: seen at once, here and in every list
                    curl -s -o /dev/null -d 'name=New name' -d 'price=12.50' {site}/product/1/edit
  profile           {site}/profile    cached for each user, dropped when it is saved
  orders            {site}/orders    cached whole, once for each user
  cart              {site}/cart    never cached
  purge by tag      curl -s -o /dev/null -d tag=category:1 {site}/purge    or the button under a category
  stale             {site}/trending    reload after 10 s: the old page at once, the new one next time
  statistics        {site}/stats
"""


def main() -> None:
    """Build the database if it is missing, take a free port, serve until Ctrl-C."""
    arguments = _arguments()
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.INFO)
    # A browser that opens more connections than there are threads is no news.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    path = database.location()
    if not path.exists():
        print(
            "Building the catalogue: 50,000 products, 400,000 reviews. Takes 5 to 15 s, once ...",
            flush=True,
        )
        started = time.perf_counter()
        database.ensure()
        print(
            f"... done in {time.perf_counter() - started:.1f} s, {path.stat().st_size / 1e6:.0f} MB."
        )
    app = create_app({"DATABASE": path})
    listener = _listen(arguments.port)
    site = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(WHAT_TO_TRY.format(site=site))
    print(f"Serving on {site}/ - stop with Ctrl-C.", flush=True)
    # Returns when it is interrupted, after the requests under way are answered.
    waitress.create_server(app, sockets=[listener], threads=THREADS, ident=None).run()
    print("Stopped.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python demo/flask/run.py", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=FIRST_PORT, help="first port to try (default: %(default)s)"
    )
    return parser.parse_args()


def _listen(first: int) -> socket.socket:
    """A socket on the first free port. It stays bound, so that nobody can take the port in between."""
    for port in range(first, min(first + 100, 65536)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError:
            listener.close()
            continue
        return listener
    sys.exit(f"no free port from {first} on: give another first port with --port")


if __name__ == "__main__":
    main()
