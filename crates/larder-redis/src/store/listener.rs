//! Hears of leases that are given up, while anybody in this process waits for one.

use std::io::{self, ErrorKind as Io};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use larder_core::fork;
use larder_net::{Deadline, Leases};
use redis::{Pipeline, Value};

use super::lease::Lender;
use crate::transport::{Connection, Messages, Transport};

/// How long the connection is kept when nobody waits any more.
const IDLE: Duration = Duration::from_secs(10);
/// How often the thread looks whether anybody does, and how long it waits before it connects anew.
const LOOK: Duration = Duration::from_secs(1);

/// The thread of this process that listens, and its channel. Those who wait do not depend on it: as
/// long as nobody hears, they look for themselves.
#[derive(Debug)]
pub(crate) struct Listener {
    channel: Vec<u8>,
    /// The process whose thread runs, and the one whose thread hears; 0 for none. A fork leaves the
    /// thread behind.
    running: AtomicU32,
    hearing: AtomicU32,
}

impl Listener {
    pub(super) const fn new(channel: Vec<u8>) -> Self {
        Self {
            channel,
            running: AtomicU32::new(0),
            hearing: AtomicU32::new(0),
        }
    }

    pub(super) fn channel(&self) -> &[u8] {
        &self.channel
    }

    /// Whether every lease given up from now on is heard of.
    pub(super) fn hears(&self) -> bool {
        self.hearing.load(Ordering::Acquire) == std::process::id()
    }

    /// Sees to it that somebody listens.
    pub(super) fn listen<T: Transport>(self: &Arc<Self>, leases: &Leases<Lender<T>>) {
        let process = std::process::id();
        let runs = self.running.load(Ordering::Acquire);
        let taken = || {
            self.running
                .compare_exchange(runs, process, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        if runs == process || !taken() {
            return;
        }
        let (listener, leases) = (Arc::clone(self), leases.clone());
        let thread = thread::Builder::new().name("larder-redis-listener".into());
        // The thread is inside except while it waits for the server.
        let run = move || {
            let _inside = fork::inside();
            listener.run(&leases);
        };
        if thread.spawn(run).is_err() {
            self.running.store(0, Ordering::Release);
        }
    }

    fn run<T: Transport>(&self, leases: &Leases<Lender<T>>) {
        loop {
            let heard = self.hear(leases);
            self.hearing.store(0, Ordering::Release);
            if heard.is_ok() {
                self.running.store(0, Ordering::Release);
                // Who came meanwhile found somebody listening.
                if !leases.is_followed() {
                    return;
                }
                let process = std::process::id();
                let again =
                    self.running
                        .compare_exchange(0, process, Ordering::AcqRel, Ordering::Relaxed);
                if again.is_err() {
                    return;
                }
            } else {
                leases.look_at_all();
                fork::aside(|| thread::sleep(LOOK));
            }
        }
    }

    /// Wakes those whose leases are over, until nobody has waited for a while.
    fn hear<T: Transport>(&self, leases: &Leases<Lender<T>>) -> io::Result<()> {
        if !leases.is_followed() {
            return Ok(());
        }
        let transport = leases.lender().transport();
        if !transport.is_proved() {
            // Others find out when the server is back.
            return Err(Io::NotConnected.into());
        }
        let link = transport.link();
        let (deadline, place) = (Deadline::after(link.deadline), link.place());
        let mut messages = Messages::new(Connection::open(link, deadline)?);
        let mut subscribe = Pipeline::with_capacity(1);
        subscribe.cmd("SUBSCRIBE").arg(&self.channel);
        messages.send(&subscribe, deadline)?;
        if let Value::ServerError(error) = messages.next(deadline)? {
            return Err(io::Error::new(Io::PermissionDenied, error.to_string()));
        }
        self.hearing.store(std::process::id(), Ordering::Release);
        // What was given up before this moment, nobody has said.
        leases.look_at_all();
        let mut needed = Instant::now();
        while needed.elapsed() < IDLE {
            if link.place() != place {
                return Err(Io::NotConnected.into());
            }
            match messages.next(Deadline::after(LOOK)) {
                Ok(Value::Array(message)) => {
                    if let Some(Value::BulkString(name)) = message.last() {
                        leases.over(name);
                    }
                }
                Ok(_) => return Err(Io::InvalidData.into()),
                Err(error) if error.kind() == Io::TimedOut => {}
                Err(error) => return Err(error),
            }
            if leases.is_followed() {
                needed = Instant::now();
            }
        }
        Ok(())
    }
}
