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

/// With a near tier in front.
mod tiers {
    use larder_core::Clock;
    use larder_core::store::Tiered;

    use super::{Arc, Ground, Server, ground};

    larder_testkit::scenarios!({
        let Some(server) = Server::start() else {
            return;
        };
        let far = ground(server);
        Ground::new(move |clock, place| {
            let tiers = Tiered::builder(far.store(&clock, place));
            let tiers = tiers.clock(Arc::clone(&clock) as Arc<dyn Clock>);
            tiers.build::<u64>().expect("the settings are right")
        })
    });
}

mod heads {
    use std::time::Duration;

    use larder_core::codec::Safe;
    use larder_redis::{Blocking, Redis};
    use larder_testkit::scenarios::Pages;

    use super::Server;

    larder_testkit::head_scenarios!({
        let Some(server) = Server::start() else {
            return;
        };
        Pages::new(move |clock| {
            let builder = Redis::builder(server.url())
                .namespace("pages_")
                .deadline(Duration::from_secs(20))
                .clock(clock);
            let store = builder.build_with(Safe, Blocking::new);
            // Each shop is empty.
            let store = store.expect("the settings are right");
            let cleared = larder_core::Store::<larder_core::codec::Plain>::remove(
                &store,
                larder_core::store::Removal::All,
            );
            larder_testkit::scenarios::at_once(cleared).expect("the server works");
            store
        })
    });
}
