//! Two connections that are no longer HTTP.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;
use tokio::sync::watch;

/// Passes on what either side sends until one of them has ended, or the server does.
pub(crate) fn open(client: OnUpgrade, origin: OnUpgrade, mut stopping: watch::Receiver<()>) {
    tokio::spawn(async move {
        let (Ok(client), Ok(origin)) = tokio::join!(client, origin) else {
            return;
        };
        let (mut client, mut origin) = (TokioIo::new(client), TokioIo::new(origin));
        tokio::select! {
            // Who hung up first is not known to the other side's application anyway.
            _ = copy_bidirectional(&mut client, &mut origin) => {}
            _ = stopping.changed() => {}
        }
    });
}
