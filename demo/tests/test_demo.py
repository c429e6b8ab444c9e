"""What the README promises of the demo, over the real catalogue."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from conftest import Site
from flask.testing import FlaskClient

from flask_larder.testing import hand_clock

SLOW_PAGES = ["/", "/category/1", "/category/1?page=2", "/product/1", "/search?q=lamp", "/trending"]


def edit(client: FlaskClient, product_id: int, name: str, price: str) -> None:
    answer = client.post(f"/product/{product_id}/edit", data={"name": name, "price": price})
    assert answer.status_code == 303


def links_of(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'href="/product/(\d+)"', page)]


@pytest.mark.parametrize("page", SLOW_PAGES)
def test_the_second_visit_runs_no_sql(site: Site, page: str) -> None:
    first, second = site.visitor(), site.visitor()
    assert site.statements_of(lambda: first.get(page))
    assert site.statements_of(lambda: second.get(page)) == []


def test_a_second_visitor_gets_the_same_page(site: Site) -> None:
    # The time in the footer makes each rendering unlike any other.
    assert site.visitor().get("/category/3").data == site.visitor().get("/category/3").data


def test_each_page_of_a_category_is_an_entry_of_its_own(site: Site) -> None:
    client = site.visitor()
    for _ in range(2):
        first, second = (client.get(f"/category/1?page={page}").text for page in (1, 2))
        assert "Page 1 of" in first
        assert "Page 2 of" in second
        assert not set(links_of(first)) & set(links_of(second))


def test_each_search_is_an_entry_of_its_own(site: Site) -> None:
    client = site.visitor()
    for _ in range(2):
        assert "“kettle”" in client.get("/search?q=kettle").text
        assert "“walnut”" in client.get("/search?q=walnut").text


def test_a_write_is_seen_at_once_wherever_the_product_shows(site: Site) -> None:
    client = site.visitor()
    product_id = links_of(client.get("/").text)[0]
    page = client.get(f"/product/{product_id}").text
    category = re.search(r'class="crumbs"><a href="([^"]+)"', page)
    assert category is not None
    # A page on which the product is named as bought together with another.
    companion = next(
        other
        for other in links_of(page)
        if product_id in links_of(client.get(f"/product/{other}").text)
    )
    client.get("/search?q=Unheard")
    places = [
        "/",
        f"/product/{product_id}",
        category[1],
        f"/product/{companion}",
        "/search?q=Unheard",
    ]
    for place in places:
        assert "Unheard-of Thing" not in client.get(place).text

    edit(client, product_id, "Unheard-of Thing", "12.34")

    for place in places:
        text = client.get(place).text
        assert "Unheard-of Thing" in text, place
        assert "€12.34" in text, place


def test_a_write_leaves_other_products_alone(site: Site) -> None:
    client = site.visitor()
    page = client.get("/product/40").text
    other = next(number for number in (41, 42, 43, 44, 45) if number not in links_of(page))
    client.get(f"/product/{other}")
    edit(client, 40, "Another Thing", "5")
    assert site.statements_of(lambda: client.get(f"/product/{other}")) == []


def test_what_was_typed_is_escaped(site: Site) -> None:
    client = site.visitor()
    edit(client, 50, '<script>alert("1")</script>', "1")
    for place in ("/product/50", "/search?q=<script>"):
        text = client.get(place).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text


def test_a_percent_sign_is_searched_for_as_itself(site: Site) -> None:
    client = site.visitor()
    assert "No product has it" in client.get("/search?q=%25").text
    assert "No product has it" in client.get("/search?q=P_ain").text


@pytest.mark.parametrize("page", ["/profile", "/orders", "/", "/cart"])
def test_one_user_never_sees_what_belongs_to_another(site: Site, page: str) -> None:
    first, second, nobody = site.visitor(1), site.visitor(1308), site.visitor()
    handles = {client: client.get("/me.json").json["handle"] for client in (first, second)}
    assert len(set(handles.values())) == 2
    for _ in range(2):
        for client, other in ((first, second), (second, first)):
            text = client.get(page).text
            assert handles[client] in text
            assert handles[other] not in text
        text = nobody.get(page).text
        assert not any(handle in text for handle in handles.values())


def test_the_orders_of_a_user_are_cached_for_that_user(site: Site) -> None:
    assert site.statements_of(lambda: site.visitor(1).get("/orders"))
    assert site.statements_of(lambda: site.visitor(1).get("/orders")) == []
    assert site.statements_of(lambda: site.visitor(1308).get("/orders"))


def test_the_sidebar_is_shared_by_the_pages_of_one_user(site: Site) -> None:
    site.visitor(1).get("/")
    assert site.statements_of(lambda: site.visitor(1).get("/profile")) == []
    sidebar = site.statements_of(lambda: site.visitor(1308).get("/profile"))
    assert any("purchase.user_id = 1308" in statement for statement in sidebar)


def test_an_edited_profile_is_seen_at_once_and_no_other_is_dropped(site: Site) -> None:
    mine, other = site.visitor(2615), site.visitor(1)
    for page in ("/profile", "/"):
        mine.get(page), other.get(page)
    assert mine.post("/profile", data={"city": "Nowhere <b>", "about": "Me."}).status_code == 303
    for page in ("/profile", "/"):
        assert "Nowhere &lt;b&gt;" in mine.get(page).text
        assert site.statements_of(lambda page=page: other.get(page)) == []


def test_the_cart_is_never_cached(site: Site) -> None:
    mine, other = site.visitor(), site.visitor()
    for pieces in (1, 2, 0):
        mine.post("/cart", data={"product_id": "60", "pieces": str(pieces)})
        answer = mine.get("/cart")
        assert answer.headers["Cache-Control"] == "no-store"
        assert ("It is empty" in answer.text) == (pieces == 0)
        assert mine.get("/me.json").json["pieces"] == pieces
        assert "It is empty" in other.get("/cart").text


def test_the_cart_takes_prices_from_the_cache_until_one_is_edited(site: Site) -> None:
    client = site.visitor()
    client.post("/cart", data={"product_id": "70", "pieces": "2"})
    client.get("/cart")
    assert not any(
        "FROM price" in statement for statement in site.statements_of(lambda: client.get("/cart"))
    )
    edit(client, 70, "Repriced", "10.05")
    assert "€20.10" in client.get("/cart").text


def test_the_categories_are_read_once(site: Site) -> None:
    site.visitor().get("/")
    edit(site.visitor(), 80, "Makes the best sellers new", "3")
    again = site.statements_of(lambda: site.visitor().get("/"))
    assert any("AS revenue" in statement for statement in again)
    assert not any("GROUP BY category.id ORDER BY" in statement for statement in again)


def test_a_purge_by_tag_takes_every_page_that_carries_it_and_no_other(site: Site) -> None:
    client = site.visitor()
    tagged, others = ["/category/7", "/category/7?page=2"], ["/category/8", "/search?q=tea"]
    for page in tagged + others:
        client.get(page)
    assert client.post("/purge", data={"tag": "category:7"}).location == "/category/7"
    for page in tagged:
        assert site.statements_of(lambda page=page: client.get(page)), page
    for page in others:
        assert site.statements_of(lambda page=page: client.get(page)) == [], page


def test_an_expired_page_is_served_at_once_and_made_anew_behind_the_answer(site: Site) -> None:
    client = site.visitor()
    with hand_clock() as clock:
        first = client.get("/trending")
        clock.advance(9)
        assert client.get("/trending").headers["Cache-Status"].startswith("Larder; hit")
        clock.advance(2)
        stale = client.get("/trending")
        assert stale.data == first.data
        assert "stale" in stale.headers["Cache-Status"]
        wait_until(lambda: client.get("/trending").data != first.data)
        clock.advance(10 + 600 + 1)
        before = len(site.statements)
        assert "miss" in client.get("/trending").headers["Cache-Status"]
        assert len(site.statements) > before


def wait_until(done: Callable[[], bool]) -> None:
    """Wait for work in another thread; far longer than it can take, before giving up."""
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline, "the page was never made anew"
        time.sleep(0.01)


def test_the_statistics_count_hits_and_misses(site: Site) -> None:
    client = site.visitor()
    before = counts_of_categories(client.get("/stats").text)
    for _ in range(3):
        client.get("/category/9")
    after = counts_of_categories(client.get("/stats").text)
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


def counts_of_categories(statistics: str) -> tuple[int, int]:
    """Hits and misses of the category page; other tests of this process may count there too."""
    cells = r'<th scope="row">[^<]*\bcategory</th><td class="number">(\d+)</td><td class="number">(\d+)</td>'
    found = re.search(cells, statistics)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def test_the_server_says_what_each_answer_took(site: Site) -> None:
    client = site.visitor()
    cold, warm = (client.get("/product/2").headers for _ in range(2))
    for headers, statements in ((cold, "[1-9]"), (warm, "0")):
        timings = ", ".join(headers.getlist("Server-Timing"))
        assert re.search(rf'app;dur=[0-9.]+, sql;desc="{statements} SQL statements"', timings)
    assert cold["Cache-Status"].startswith("Larder; fwd=miss; stored")
    assert warm["Cache-Status"].startswith("Larder; hit")


@pytest.mark.parametrize(
    "path",
    ["/category/99", "/product/0", "/product/50001", "/category/1?page=0", "/category/1?page=-1",
     "/category/1?page=x", "/category/1?page=9999", "/category/1?page=99999999999999999999", "/nowhere"],
)  # fmt: skip
def test_what_does_not_exist_is_not_found(site: Site, path: str) -> None:
    answer = site.visitor().get(path)
    assert answer.status_code == 404
    assert "Back to the best sellers" in answer.text


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/product/1/edit", {"name": "", "price": "1"}),
        ("/product/1/edit", {"name": "x" * 121, "price": "1"}),
        ("/product/1/edit", {"name": "x", "price": "0"}),
        ("/product/1/edit", {"name": "x", "price": "-1"}),
        ("/product/1/edit", {"name": "x", "price": "1.234"}),
        ("/product/1/edit", {}),
        ("/cart", {"product_id": "0", "pieces": "1"}),
        ("/cart", {"product_id": "1", "pieces": "100"}),
        ("/cart", {"product_id": "1", "pieces": "one"}),
        ("/purge", {"tag": "category:"}),
        ("/purge", {"tag": "user:1"}),
        ("/sign-in", {"handle": "nobody"}),
    ],
)
def test_a_wrong_field_is_refused_and_changes_nothing(
    site: Site, path: str, fields: dict[str, str]
) -> None:
    client = site.visitor()
    before = client.get("/product/1").data
    assert client.post(path, data=fields).status_code == 400
    assert client.get("/product/1").data == before


def test_a_write_takes_a_post(site: Site) -> None:
    client = site.visitor()
    for path in ("/product/1/edit", "/purge"):
        assert client.get(path).status_code == 405
    assert client.post("/profile", data={"city": "x", "about": "x"}).status_code == 403
