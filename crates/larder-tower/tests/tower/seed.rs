//! The seed scenario: a miss is stored, a hit does not run the handler, an expired page is made anew.

use crate::site::{cache, get, seconds, site};
use larder_tower::CacheLayer;

#[tokio::test]
async fn with_ten_seconds_the_third_request_is_a_miss_and_with_twenty_a_hit() {
    for (ttl, third) in [(10, "page 2"), (20, "page 1")] {
        let (cache, clock) = cache();
        let layer = CacheLayer::builder(seconds(ttl))
            .cache(cache)
            .build()
            .unwrap();
        let (app, calls) = site(&layer, |call, _| format!("page {call}"));

        let first = get(&app, "/product/7").await;
        assert_eq!(first.body, "page 1");
        assert_eq!(first.cache_status(), "Larder; fwd=miss; stored");

        clock.advance(seconds(9));
        let second = get(&app, "/product/7").await;
        assert_eq!(second.body, "page 1");
        assert_eq!(
            second.cache_status(),
            format!("Larder; hit; ttl={}", ttl - 9)
        );
        assert_eq!(second.header("age"), "9");
        assert_eq!(calls.get(), 1);

        clock.advance(seconds(1));
        let last = get(&app, "/product/7").await;
        assert_eq!(last.body, third);
        assert_eq!(calls.get(), if ttl == 10 { 2 } else { 1 });
    }
}
