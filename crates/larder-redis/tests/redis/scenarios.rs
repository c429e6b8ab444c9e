//! What a cache promises, over a real server.

use std::sync::Arc;
use std::time::Duration;

use larder_redis::{Blocking, Redis};
use larder_testkit::scenarios::{Ground, Numbers};

use crate::server::Server;

/// Stores on one server, each place a namespace.
fn ground(server: Server) -> Ground<Redis<Numbers, Arc<Blocking>>> {
    Ground::new(move |clock, place| {
        let builder = Redis::builder(server.url())
            .namespace(format!("{place}_"))
            // The scenarios do not depend on how fast the machine is.
            .deadline(Duration::from_secs(20))
            .clock(clock);
        let store = builder.build_with(Numbers, |link| Arc::new(Blocking::new(link)));
        store.expect("the settings are right")
    })
}

larder_testkit::scenarios!({
    let Some(server) = Server::start() else {
        return;
    };
    ground(server)
});

mod processes {
    use super::{Server, ground};

    larder_testkit::process_scenarios!({
        let Some(server) = Server::start() else {
            return;
        };
        ground(server)
    });
}
