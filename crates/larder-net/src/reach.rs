//! How a client comes to a connection.

use std::io::{self, ErrorKind as Io};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use crate::client::{Client, Crowded, Inner, LOOK};
use crate::line::Line;
use crate::{Deadline, Directory, Medium, Place, Site, Stream, Target, tries};

/// The right to make the one connection, given back when it is dropped.
struct Turn<'a>(&'a AtomicU32);

impl<'a> Turn<'a> {
    fn take(connecting: &'a AtomicU32) -> Option<Self> {
        let process = std::process::id();
        let holder = connecting.load(Ordering::Relaxed);
        let taken = holder != process
            && connecting
                .compare_exchange(holder, process, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        // Not `then_some`: what it does not give is dropped, and with it somebody else's turn.
        taken.then(|| Self(connecting))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl<M: Medium> Inner<M> {
    /// A new connection, or `None` after a moment where so many others are being made that one had better
    /// wait. To a server that has not answered yet, or not since it failed, one caller at a time connects:
    /// if it fails, the others need not try.
    pub(crate) async fn open(&self, deadline: Deadline) -> io::Result<Option<Line<M::Stream>>> {
        let is_proved = self.breaker.is_proved();
        if !is_proved && self.breaker.is_open() {
            return Err(Io::ConnectionAborted.into());
        }
        let turn = match is_proved {
            true => self.turns.iter().find_map(Turn::take),
            false => Turn::take(&self.connecting),
        };
        let Some(turn) = turn else {
            let late = || match is_proved {
                true => Crowded.into(),
                false => io::Error::from(Io::TimedOut),
            };
            M::rest(LOOK.min(deadline.left().ok_or_else(late)?)).await;
            return Ok(None);
        };
        let since = Instant::now();
        // It may have opened while the turn was taken.
        let connected = if !is_proved && self.breaker.is_open() {
            Err(Io::ConnectionAborted.into())
        } else {
            self.connect(deadline).await
        };
        match &connected {
            _ if is_proved => {}
            // The greeting was answered; a server without one has at least taken the connection.
            Ok(_) => self.breaker.proved(),
            Err(error) if error.kind() == Io::ConnectionAborted => {}
            Err(error) if self.had_time(error, since) => self.breaker.failed(),
            Err(_) => {}
        }
        drop(turn);
        match connected {
            Err(error) if is_proved => Err(self.behind_others(error, since)),
            connected => connected.map(Some),
        }
    }

    pub(crate) async fn connect(&self, deadline: Deadline) -> io::Result<Line<M::Stream>> {
        match &self.target.site {
            Site::At(place) => self.connect_to(place, deadline).await,
            Site::Told(directory) => match directory.latest() {
                Some(place) if self.breaker.is_proved() => self.connect_to(&place, deadline).await,
                _ => self.search(directory, deadline).await,
            },
        }
    }

    /// Asks one after another where the server is, until it was reached there. Who names a place where
    /// it is not is asked last the next time.
    async fn search(
        &self,
        directory: &Directory,
        deadline: Deadline,
    ) -> io::Result<Line<M::Stream>> {
        let mut failure = io::Error::from(Io::NotFound);
        for (at, number) in directory.order().enumerate() {
            // Each gets its share of the time, and so does the server.
            let shares = directory.places.len() - at + 1;
            let share = deadline.left().ok_or(Io::TimedOut)? / u32::try_from(shares).unwrap_or(1);
            match self.ask(directory, number, deadline.within(share)).await {
                Ok(Some(place)) => {
                    let connected = self.connect_to(&place, deadline).await;
                    match &connected {
                        Ok(_) => directory.found(number, place),
                        Err(_) => directory.turn(),
                    }
                    return connected;
                }
                Ok(None) => failure = unknown(directory, number),
                Err(error) => failure = error,
            }
        }
        directory.turn();
        Err(failure)
    }

    /// Asks one of those who know, on the connection that there is or on a new one.
    async fn ask(
        &self,
        directory: &Directory,
        number: usize,
        deadline: Deadline,
    ) -> io::Result<Option<Place>> {
        let shelf = &self.asked[number];
        let kept = shelf.take().map(|idle| idle.connection);
        let kept = kept.filter(|line| line.stream.is_alive() && line.stream.is_quiet());
        let mut line = match kept {
            Some(line) => line,
            None => self.line(&directory.places[number], deadline).await?,
        };
        let mut question = directory.question();
        let place = line
            .exchange(&question.bytes, &mut question.answer, deadline)
            .await?;
        shelf.put(line);
        Ok(place)
    }

    async fn connect_to(&self, place: &Place, deadline: Deadline) -> io::Result<Line<M::Stream>> {
        // Both are read before the greeting is made: what changes meanwhile makes the connection old.
        let made = self.age();
        let mut line = self.line(place, deadline).await?;
        line.made = made;
        line.greet(&self.greeting, deadline).await?;
        Ok(line)
    }

    /// The server said that another one is to be asked.
    pub(crate) fn elsewhere(&self) {
        let (last, now) = (self.elsewhere.load(Ordering::Relaxed), tries::now());
        match &self.target.site {
            Site::Told(_) => {
                self.breaker.doubt();
                self.leave();
            }
            Site::At(_) if last == 0 || now - last >= 1000 => {
                self.elsewhere.store(now, Ordering::Relaxed);
                self.leave();
            }
            Site::At(_) => {}
        }
    }

    /// A new connection, if there were not too many of them to a server that is not proved.
    async fn line(&self, place: &Place, deadline: Deadline) -> io::Result<Line<M::Stream>> {
        let Target { tls, .. } = &self.target;
        if !self.breaker.is_proved() && !self.tries.take(tries::now()) {
            return Err(Io::ConnectionAborted.into());
        }
        self.attempts.fetch_add(1, Ordering::Relaxed);
        let stream = M::connect(place, tls.as_ref(), deadline).await?;
        Ok(Line::new(stream))
    }
}

impl<M: Medium> Client<M> {
    /// Looks beside the caller whether the server has moved, where others know. A server that answers
    /// on though they have left it must not be believed for long.
    pub(crate) fn look_around(&self) {
        let Site::Told(directory) = &self.0.target.site else {
            return;
        };
        if !directory.is_due() {
            return;
        }
        let (inner, directory) = (Arc::clone(&self.0), Arc::clone(directory));
        M::beside(async move {
            let deadline = Deadline::after(inner.breaker.probe_time());
            let Some(number) = directory.order().next() else {
                return;
            };
            let place = match inner.ask(&directory, number, deadline).await {
                Ok(Some(place)) => place,
                Ok(None) | Err(_) => return directory.turn(),
            };
            if directory.latest().as_ref() == Some(&place) {
                return;
            }
            // It is there only if it says so itself.
            match inner.connect_to(&place, deadline).await {
                Ok(line) => {
                    directory.found(number, place);
                    inner.leave();
                    drop(line);
                }
                Err(_) => directory.turn(),
            }
        });
    }
}

fn unknown(directory: &Directory, number: usize) -> io::Error {
    let asked = &directory.places[number];
    let detail = format!("{asked} has never heard of it (use the name that it knows)");
    io::Error::new(Io::NotFound, detail)
}
