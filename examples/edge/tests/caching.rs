//! RFC 9111 in many small cases, as a client and an origin see it. The names of the tests are those of the
//! sections.

mod common;
#[path = "common/table.rs"]
mod table;

use table::{Case, run};

#[tokio::test]
async fn section_4_2_1_the_lifetime() {
    run(
        "RFC 9111 4.2.1",
        &[
            Case(
                "max-age",
                &["200 | Cache-Control: max-age=10"],
                &["GET miss", "+9 GET hit age=9 warning=", "+1 GET miss"],
            ),
            Case(
                "s-maxage goes before max-age",
                &["200 | Cache-Control: max-age=99, s-maxage=10"],
                &["GET miss", "+9 GET hit", "+1 GET miss"],
            ),
            Case(
                "s-maxage makes longer too",
                &["200 | Cache-Control: s-maxage=99, max-age=1"],
                &["GET miss", "+90 GET hit"],
            ),
            Case(
                "max-age goes before Expires",
                &["200 | Cache-Control: max-age=10 | Expires: {-5}"],
                &["GET miss", "+9 GET hit", "+1 GET miss"],
            ),
            Case(
                "s-maxage goes before Expires",
                &["200 | Cache-Control: s-maxage=10 | Expires: {+99}"],
                &["GET miss", "+9 GET hit", "+1 GET miss"],
            ),
            Case(
                "Expires less Date",
                &["200 | Date: {+0} | Expires: {+10}"],
                &["GET miss", "+9 GET hit", "+1 GET miss"],
            ),
            Case(
                "Expires without Date",
                &["200 | Expires: {+10}"],
                &["GET miss", "+9 GET hit", "+1 GET miss"],
            ),
            Case(
                "Expires in the past",
                &["200 | Expires: {-10}"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "Expires of now",
                &["200 | Expires: {+0}"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "Date counts, not the clock here",
                &["200 | Date: {-5} | Expires: {+5}"],
                &["GET miss", "+4 GET hit age=9", "+1 GET miss"],
            ),
            Case(
                "names in any case",
                &["200 | cache-CONTROL: MAX-Age=10"],
                &["GET miss", "+9 GET hit"],
            ),
            Case(
                "two lines are one list",
                &["200 | Cache-Control: public | Cache-Control: max-age=10"],
                &["GET miss", "+9 GET hit"],
            ),
            Case(
                "more than can be counted",
                &["200 | Cache-Control: max-age=99999999999999999999"],
                &["GET miss", "+9999 GET hit"],
            ),
            Case(
                "a number in quotes",
                &["200 | Cache-Control: max-age=\"10\""],
                &["GET miss", "+9 GET hit", "+1 GET miss"],
            ),
            Case(
                "a negative number",
                &["200 | Cache-Control: max-age=-10"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "no number",
                &["200 | Cache-Control: max-age=soon"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "a broken number",
                &["200 | Cache-Control: max-age=10.5"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "a directive within a quoted text is none",
                &["200 | Cache-Control: ext=\"no-store, max-age=0\", max-age=10"],
                &["GET miss", "+9 GET hit"],
            ),
            Case(
                "what nobody knows is left out of account",
                &["200 | Cache-Control: max-age=10, immutable, x-ext=1"],
                &["GET miss", "+9 GET hit"],
            ),
            Case(
                "max-age=0",
                &["200 | Cache-Control: max-age=0"],
                &["GET miss", "GET miss"],
            ),
        ],
    )
    .await;
    // Section 5.3: what is no date, 0 most of all, is a time in the past.
    for malformed in [
        "Expires: 0",
        "Expires: -1",
        "Expires: soon",
        "Expires: 2099-01-01",
        "Expires: Thu, 99 Jan 2099 00:00:00 GMT",
    ] {
        let said: &'static str = Box::leak(format!("200 | {malformed}").into_boxed_str());
        let said: &'static [&'static str] = Box::leak(Box::new([said]));
        run(
            "RFC 9111 5.3",
            &[Case(malformed, said, &["GET miss", "GET miss"])],
        )
        .await;
    }
}

#[tokio::test]
async fn section_4_2_2_what_may_be_assumed() {
    run(
        "RFC 9111 4.2.2",
        &[
            Case(
                "a tenth since the change",
                &["200 | Last-Modified: {-1000} | Date: {+0}"],
                &["GET miss", "+99 GET hit", "+2 GET changed"],
            ),
            Case(
                "nothing to assume it from",
                &["200"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "an explicit lifetime goes before",
                &["200 | Last-Modified: {-1000} | Cache-Control: max-age=5"],
                &["GET miss", "+4 GET hit", "+1 GET changed"],
            ),
            Case(
                "404 is one of them",
                &["404 | Last-Modified: {-1000}"],
                &["GET miss", "+9 GET hit 404"],
            ),
            Case(
                "302 is not",
                &["302 | Last-Modified: {-1000}"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "403 is not",
                &["403 | Last-Modified: {-1000}"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "599 is not",
                &["599 | Last-Modified: {-1000}"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "unless it says public",
                &["302 | Last-Modified: {-1000} | Cache-Control: public"],
                &["GET miss", "+9 GET hit"],
            ),
            Case(
                "a malformed date says nothing",
                &["200 | Last-Modified: yesterday"],
                &["GET miss", "GET changed"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn section_4_2_3_the_age() {
    run(
        "RFC 9111 4.2.3",
        &[
            Case(
                "an Age counts",
                &["200 | Cache-Control: max-age=10 | Age: 4"],
                &["GET miss age=4", "+5 GET hit age=9", "+1 GET miss"],
            ),
            Case(
                "as old as it may be",
                &["200 | Cache-Control: max-age=10 | Age: 10"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "a Date in the past counts",
                &["200 | Cache-Control: max-age=10 | Date: {-5}"],
                &["GET miss", "+4 GET hit age=9", "+1 GET miss"],
            ),
            Case(
                "the larger of both counts",
                &["200 | Cache-Control: max-age=10 | Date: {-2} | Age: 6"],
                &["GET miss", "+3 GET hit age=9", "+1 GET miss"],
            ),
            Case(
                "a Date to come does not",
                &["200 | Cache-Control: max-age=10 | Date: {+60}"],
                &["GET miss", "+9 GET hit age=9", "+1 GET miss"],
            ),
            Case(
                "an Age that is no number does not",
                &["200 | Cache-Control: max-age=10 | Age: old"],
                &["GET miss", "+9 GET hit age=9"],
            ),
            Case(
                "an Age beyond all numbers does",
                &["200 | Cache-Control: max-age=10 | Age: 99999999999999999999"],
                &["GET miss", "GET miss"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn section_3_what_is_stored() {
    run(
        "RFC 9111 3",
        &[
            Case(
                "every status that says how long",
                &["299 | Cache-Control: max-age=10"],
                &["GET miss", "+9 GET hit 299"],
            ),
            Case(
                "an error that says how long",
                &["503 | Cache-Control: max-age=10"],
                &["GET miss", "+9 GET hit 503"],
            ),
            Case(
                "a status that nobody knows",
                &["777 | Cache-Control: max-age=10"],
                &["GET miss", "+9 GET hit 777"],
            ),
            Case(
                "the last status of all",
                &["999 | Cache-Control: max-age=10"],
                &["GET miss", "+9 GET hit 999"],
            ),
            Case(
                "a redirection that says how long",
                &["302 | Location: /y | Cache-Control: max-age=10"],
                &["GET miss", "+9 GET hit 302 location=/y"],
            ),
            Case(
                "each query is a page",
                &["200 | Cache-Control: max-age=10"],
                &[
                    "GET/x?a miss",
                    "GET/x?b miss",
                    "GET/x miss",
                    "GET/x? miss",
                    "GET/x?a hit",
                    "GET/x? hit",
                ],
            ),
        ],
    )
    .await;
    run(
        "RFC 9111 3",
        &[
            Case(
                "POST is not stored",
                &["200 | Cache-Control: max-age=10"],
                &["POST miss", "POST miss", "GET miss"],
            ),
            Case(
                "a part is not the whole",
                &[
                    "206 | Cache-Control: max-age=10 | Content-Range: bytes 0-1/9",
                    "200 | Cache-Control: max-age=10",
                ],
                &[
                    "GET passed 206 | Range: bytes=0-1",
                    "GET miss 200",
                    "GET hit 200",
                ],
            ),
            Case(
                "an answer that sets a cookie is for one",
                &["200 | Cache-Control: max-age=10 | Set-Cookie: a=1"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "unless it says that it is for all",
                &["200 | Cache-Control: public, max-age=10 | Set-Cookie: a=1"],
                &["GET miss", "GET hit"],
            ),
        ],
    )
    .await;
    run(
        "RFC 9111 3.5",
        &[
            Case(
                "credentials",
                &["200 | Cache-Control: max-age=10"],
                &[
                    "GET miss | Authorization: Basic eA==",
                    "GET miss",
                    "GET hit",
                ],
            ),
            Case(
                "credentials may ask a stored page",
                &["200 | Cache-Control: max-age=10"],
                &["GET miss", "GET hit | Authorization: Basic eA=="],
            ),
            Case(
                "public",
                &["200 | Cache-Control: max-age=10, public"],
                &["GET miss | Authorization: Basic eA==", "GET hit"],
            ),
            Case(
                "s-maxage",
                &["200 | Cache-Control: s-maxage=10"],
                &["GET miss | Authorization: Basic eA==", "GET hit"],
            ),
            Case(
                "must-revalidate",
                &["200 | Cache-Control: max-age=10, must-revalidate"],
                &["GET miss | Authorization: Basic eA==", "GET hit"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn section_4_1_vary() {
    run(
        "RFC 9111 4.1",
        &[
            Case(
                "another value",
                &["200 | Cache-Control: max-age=99 | Vary: Accept"],
                &[
                    "GET miss | Accept: a",
                    "GET miss | Accept: b",
                    "GET hit | Accept: a",
                    "GET hit | Accept: b",
                    "GET miss",
                    "GET hit",
                ],
            ),
            Case(
                "two fields",
                &["200 | Cache-Control: max-age=99 | Vary: X-A, x-b"],
                &[
                    "GET miss | X-A: 1 | X-B: 2",
                    "GET hit | X-B: 2 | X-A: 1",
                    "GET miss | X-A: 1",
                    "GET miss | X-B: 2",
                    "GET miss | X-A: 2 | X-B: 1",
                ],
            ),
            Case(
                "two lines",
                &["200 | Cache-Control: max-age=99 | Vary: X-A | Vary: X-B"],
                &["GET miss | X-A: 1", "GET miss | X-B: 1", "GET hit | X-A: 1"],
            ),
            Case(
                "names in any case",
                &["200 | Cache-Control: max-age=99 | vary: ACCEPT"],
                &[
                    "GET miss | Accept: a",
                    "GET hit | accept: a",
                    "GET miss | accept: b",
                ],
            ),
            Case(
                "everything",
                &["200 | Cache-Control: max-age=99 | Vary: *"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "everything among others",
                &["200 | Cache-Control: max-age=99 | Vary: Accept, *"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "what is not named",
                &["200 | Cache-Control: max-age=99 | Vary: Accept"],
                &["GET miss | X-A: 1", "GET hit | X-A: 2"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn section_4_3_validation() {
    run(
        "RFC 9111 4.3",
        &[
            Case(
                "by a tag",
                &["200 confirms | Cache-Control: max-age=10 | ETag: \"1\""],
                &[
                    "GET miss",
                    "+10 GET confirmed 200",
                    "+9 GET hit",
                    "+1 GET confirmed",
                ],
            ),
            Case(
                "by a weak tag",
                &["200 confirms | Cache-Control: max-age=10 | ETag: W/\"1\""],
                &["GET miss", "+10 GET confirmed", "+9 GET hit"],
            ),
            Case(
                "by a date",
                &["200 confirms | Cache-Control: max-age=10 | Last-Modified: {-99}"],
                &["GET miss", "+10 GET confirmed", "+9 GET hit"],
            ),
            Case(
                "changed since",
                &[
                    "200 | Cache-Control: max-age=10 | ETag: \"1\"",
                    "200 | Cache-Control: max-age=10 | ETag: \"2\"",
                ],
                &[
                    "GET miss",
                    "+10 GET changed etag=\"2\"",
                    "+9 GET hit etag=\"2\"",
                ],
            ),
            Case(
                "without a validator",
                &["200 | Cache-Control: max-age=10"],
                &["GET miss", "+10 GET miss"],
            ),
            Case(
                "4.3.4: a 304 brings new fields",
                &[
                    "200 | Cache-Control: max-age=10 | ETag: \"1\" | X-A: 1 | X-B: 1",
                    "304 | Cache-Control: max-age=30 | ETag: \"1\" | X-A: 2",
                ],
                &[
                    "GET miss",
                    "+10 GET confirmed x-a=2 x-b=1",
                    "+29 GET hit x-a=2 x-b=1 content-length=2",
                ],
            ),
            Case(
                "4.3.4: and what describes the body stays",
                &[
                    "200 | Cache-Control: max-age=10 | ETag: \"1\" | Content-Type: text/a",
                    "304 | ETag: \"1\" | Content-Type: text/b | Content-Encoding: gzip",
                ],
                &[
                    "GET miss",
                    "+10 GET confirmed content-type=text/a content-encoding= content-length=2",
                ],
            ),
            Case(
                "4.3.3: a 304 of another page is not believed",
                &[
                    "200 | Cache-Control: max-age=10 | ETag: \"1\"",
                    "304 | ETag: \"2\"",
                ],
                &["GET miss", "+10 GET passed 502"],
            ),
        ],
    )
    .await;
    run(
        "RFC 9111 4.3.2",
        &[
            Case(
                "a client that has the page",
                &["200 | Cache-Control: max-age=10 | ETag: \"1\""],
                &[
                    "GET miss",
                    "GET hit 304 etag=\"1\" | If-None-Match: \"1\"",
                    "GET hit 304 | If-None-Match: \"0\", W/\"1\"",
                    "GET hit 304 | If-None-Match: *",
                    "GET hit 200 | If-None-Match: \"2\"",
                ],
            ),
            Case(
                "a client that has a date",
                &["200 | Cache-Control: max-age=10 | Last-Modified: {-50}"],
                &[
                    "GET miss",
                    "GET hit 304 | If-Modified-Since: {-50}",
                    "GET hit 304 | If-Modified-Since: {-10}",
                    "GET hit 200 | If-Modified-Since: {-60}",
                ],
            ),
            Case(
                "a tag goes before a date",
                &["200 | Cache-Control: max-age=10 | ETag: \"1\" | Last-Modified: {-50}"],
                &[
                    "GET miss",
                    "GET hit 200 | If-None-Match: \"2\" | If-Modified-Since: {-50}",
                ],
            ),
            Case(
                "the first client has the page",
                &["200 confirms | Cache-Control: max-age=10 | ETag: \"1\""],
                &["GET passed 304 | If-None-Match: \"1\"", "GET hit 200"],
            ),
            Case(
                "If-Match is for the origin",
                &["200 | Cache-Control: max-age=10 | ETag: \"1\""],
                &["GET miss", "GET passed | If-Match: \"1\""],
            ),
        ],
    )
    .await;
    run(
        "RFC 9111 4.3.5",
        &[
            Case(
                "HEAD tells of another page",
                &[
                    "200 | Cache-Control: max-age=10 | ETag: \"1\"",
                    "200 | Cache-Control: max-age=10 | ETag: \"2\"",
                ],
                &["GET miss", "+10 HEAD miss", "GET miss", "GET hit"],
            ),
            Case(
                "HEAD from what GET stored",
                &["200 | Cache-Control: max-age=10 | ETag: \"1\""],
                &["GET miss", "+9 HEAD hit content-length=2 age=9"],
            ),
            Case(
                "HEAD leaves nothing for GET",
                &["200 | Cache-Control: max-age=10"],
                &["HEAD miss", "GET miss", "GET hit"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn section_4_4_invalidation() {
    run(
        "RFC 9111 4.4",
        &[
            Case(
                "POST",
                &["200 | Cache-Control: max-age=99"],
                &["GET miss", "POST miss", "GET miss"],
            ),
            Case(
                "PUT",
                &["200 | Cache-Control: max-age=99"],
                &["GET miss", "PUT miss", "GET miss"],
            ),
            Case(
                "DELETE",
                &["200 | Cache-Control: max-age=99"],
                &["GET miss", "DELETE miss", "GET miss"],
            ),
            Case(
                "a method that nobody knows",
                &["200 | Cache-Control: max-age=99"],
                &["GET miss", "FROB miss", "GET miss"],
            ),
            Case(
                "a redirection is a success",
                &[
                    "200 | Cache-Control: max-age=99",
                    "303 | Location: /y",
                    "200 | Cache-Control: max-age=99",
                ],
                &["GET miss", "POST miss 303", "GET miss"],
            ),
            Case(
                "a failure changes nothing",
                &["200 | Cache-Control: max-age=99", "500"],
                &["GET miss", "POST miss 500", "GET hit"],
            ),
            Case(
                "so does a refusal",
                &["200 | Cache-Control: max-age=99", "404"],
                &["GET miss", "DELETE miss 404", "GET hit"],
            ),
            Case(
                "OPTIONS changes nothing",
                &["200 | Cache-Control: max-age=99"],
                &["GET miss", "OPTIONS miss", "GET hit"],
            ),
            Case(
                "Location on the same host",
                &[
                    "200 | Cache-Control: max-age=99",
                    "201 | Location: /x",
                    "200 | Cache-Control: max-age=99",
                ],
                &["GET miss", "POST/new miss", "GET miss"],
            ),
            Case(
                "Content-Location on the same host",
                &[
                    "200 | Cache-Control: max-age=99",
                    "200 | Content-Location: /x",
                    "200 | Cache-Control: max-age=99",
                ],
                &["GET miss", "POST/new miss", "GET miss"],
            ),
            Case(
                "Location on another host",
                &[
                    "200 | Cache-Control: max-age=99",
                    "201 | Location: http://other.example/x",
                ],
                &["GET miss", "POST/new miss", "GET hit"],
            ),
            Case(
                "every variant",
                &["200 | Cache-Control: max-age=99 | Vary: Accept"],
                &[
                    "GET miss | Accept: a",
                    "GET miss | Accept: b",
                    "POST miss",
                    "GET miss | Accept: a",
                    "GET miss | Accept: b",
                ],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn section_5_2_1_what_clients_say() {
    run(
        "RFC 9111 5.2.1",
        &[
            Case(
                "max-age",
                &["200 | Cache-Control: max-age=99"],
                &[
                    "GET miss",
                    "+5 GET hit | Cache-Control: max-age=6",
                    "GET miss | Cache-Control: max-age=4",
                ],
            ),
            Case(
                "max-age=0",
                &["200 confirms | Cache-Control: max-age=99 | ETag: \"1\""],
                &[
                    "GET miss",
                    "GET hit | Cache-Control: max-age=0",
                    "+1 GET confirmed | Cache-Control: max-age=0",
                    "GET hit",
                ],
            ),
            Case(
                "max-stale",
                &["200 | Cache-Control: max-age=10"],
                &[
                    "GET miss",
                    "+15 GET hit age=15 | Cache-Control: max-stale=6",
                    "GET hit | Cache-Control: max-stale",
                    "GET miss | Cache-Control: max-stale=4",
                ],
            ),
            Case(
                "max-stale and a page that forbids it",
                &["200 | Cache-Control: max-age=10, must-revalidate"],
                &["GET miss", "+15 GET miss | Cache-Control: max-stale"],
            ),
            Case(
                "min-fresh",
                &["200 | Cache-Control: max-age=10"],
                &[
                    "GET miss",
                    "+5 GET hit | Cache-Control: min-fresh=5",
                    "GET miss | Cache-Control: min-fresh=6",
                ],
            ),
            Case(
                "no-cache",
                &["200 | Cache-Control: max-age=99"],
                &["GET miss", "GET miss | Cache-Control: no-cache", "GET hit"],
            ),
            Case(
                "no-store",
                &["200 | Cache-Control: max-age=99"],
                &["GET miss | Cache-Control: no-store", "GET miss", "GET hit"],
            ),
            Case(
                "only-if-cached",
                &["200 | Cache-Control: max-age=99"],
                &[
                    "GET hit 504 | Cache-Control: only-if-cached",
                    "GET miss",
                    "GET hit 200 | Cache-Control: only-if-cached",
                ],
            ),
            Case(
                "5.4: Pragma",
                &["200 | Cache-Control: max-age=99"],
                &[
                    "GET miss",
                    "GET miss | Pragma: no-cache",
                    "GET hit | Pragma: no-cache | Cache-Control: max-age=99",
                ],
            ),
            Case(
                "5.4: Pragma of an answer",
                &["200 | Cache-Control: max-age=99 | Pragma: no-cache"],
                &["GET miss", "GET hit"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn section_5_2_2_what_origins_say() {
    run("RFC 9111 5.2.2", &[
        Case("no-store", &["200 | Cache-Control: no-store, max-age=10"], &["GET miss", "GET miss"]),
        Case("private", &["200 | Cache-Control: private, max-age=10"], &["GET miss", "GET miss"]),
        Case("no-cache", &["200 confirms | Cache-Control: no-cache, max-age=10 | ETag: \"1\""], &["GET miss", "GET confirmed", "GET confirmed"]),
        Case("no-cache without a validator", &["200 | Cache-Control: no-cache"], &["GET miss", "GET miss"]),
        Case("no-cache of single fields is for all of it", &["200 confirms | Cache-Control: no-cache=\"x-a\", max-age=10 | ETag: \"1\" | X-A: 1"], &["GET miss", "GET confirmed x-a=1"]),
        Case("must-revalidate is for what is stale", &["200 confirms | Cache-Control: must-revalidate, max-age=10 | ETag: \"1\""], &["GET miss", "+9 GET hit", "+1 GET confirmed"]),
        Case("must-understand lifts no-store", &["200 | Cache-Control: no-store, must-understand, max-age=10"], &["GET miss", "+9 GET hit"]),
        Case("must-understand of a status that nobody knows", &["299 | Cache-Control: must-understand, max-age=10"], &["GET miss", "GET miss"]),
    ]).await;
    run(
        "RFC 5861 3",
        &[
            Case(
                "stale-while-revalidate",
                &["200 | Cache-Control: max-age=10, stale-while-revalidate=5"],
                &[
                    "GET miss",
                    "+12 GET hit age=12",
                    "GET becomes",
                    "GET hit age=0",
                ],
            ),
            Case(
                "its end",
                &["200 | Cache-Control: max-age=10, stale-while-revalidate=5"],
                &["GET miss", "+15 GET miss"],
            ),
            Case(
                "it yields to must-revalidate",
                &["200 | Cache-Control: max-age=10, stale-while-revalidate=5, must-revalidate"],
                &["GET miss", "+12 GET miss"],
            ),
        ],
    )
    .await;
    run(
        "RFC 5861 4",
        &[
            Case(
                "stale-if-error",
                &["200 | Cache-Control: max-age=10, stale-if-error=5", "500"],
                &["GET miss", "+12 GET passed 200 age=12"],
            ),
            Case(
                "its end",
                &["200 | Cache-Control: max-age=10, stale-if-error=5", "500"],
                &["GET miss", "+15 GET miss 500"],
            ),
            Case(
                "a refusal is no error",
                &["200 | Cache-Control: max-age=10, stale-if-error=5", "404"],
                &["GET miss", "+12 GET miss 404"],
            ),
        ],
    )
    .await;
    run(
        "RFC 9213",
        &[
            Case(
                "a field for caches like this one",
                &["200 | Cache-Control: no-store | CDN-Cache-Control: max-age=10"],
                &[
                    "GET miss",
                    "+9 GET hit cache-control=no-store cdn-cache-control=max-age=10",
                    "+1 GET miss",
                ],
            ),
            Case(
                "it forbids too",
                &["200 | Cache-Control: max-age=10 | CDN-Cache-Control: no-store"],
                &["GET miss", "GET miss"],
            ),
            Case(
                "Expires does not count beside it",
                &["200 | Expires: {+99} | CDN-Cache-Control: max-age=10"],
                &["GET miss", "+9 GET hit", "+1 GET miss"],
            ),
            Case(
                "one that is malformed is none",
                &["200 | Cache-Control: max-age=10 | CDN-Cache-Control: max-age=, &"],
                &["GET miss", "+9 GET hit", "+1 GET miss"],
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn parts_of_what_is_stored() {
    run(
        "RFC 9110 14.2",
        &[
            Case(
                "a part",
                &["200 | Cache-Control: max-age=10 | ETag: \"1\""],
                &[
                    "GET miss",
                    "GET hit 206 content-length=1 | Range: bytes=1-1",
                    "GET hit 206 content-length=1 | Range: bytes=-1",
                ],
            ),
            Case(
                "a part that is not there",
                &["200 | Cache-Control: max-age=10"],
                &["GET miss", "GET hit 416 | Range: bytes=9-"],
            ),
            Case(
                "what is no range",
                &["200 | Cache-Control: max-age=10"],
                &["GET miss", "GET hit 200 | Range: lines=1-2"],
            ),
            Case(
                "13.1.5: of this page",
                &["200 | Cache-Control: max-age=10 | ETag: \"1\""],
                &[
                    "GET miss",
                    "GET hit 206 | Range: bytes=0-0 | If-Range: \"1\"",
                    "GET hit 200 | Range: bytes=0-0 | If-Range: \"2\"",
                ],
            ),
        ],
    )
    .await;
}
