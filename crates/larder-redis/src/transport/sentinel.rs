//! Where sentinels say that the master is.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use larder_net::{Directory, Place, Progress, Question, Reader, Site};
use redis::{Pipeline, Value};

use super::greeting::{log_in, refused};
use super::reply::{Replies, said};
use super::{Address, Limits, Sentinels, Servers};

/// Where the server of an address is found; of a cluster, the first of its nodes that are named.
pub(super) fn site(address: &Address, limits: Limits) -> Site {
    match &address.servers {
        Servers::One(place) => Site::At(place.clone()),
        Servers::Cluster(places) => Site::At(places[0].clone()),
        Servers::Sentinels(sentinels) => {
            let question = question(sentinels);
            let places = sentinels.places.clone();
            let asking = move || Question {
                bytes: question.get_packed_pipeline(),
                answer: Box::new(Told(Replies::any(question.len(), limits))),
            };
            Site::Told(Arc::new(Directory::new(
                address.to_string(),
                places,
                asking,
            )))
        }
    }
}

fn question(sentinels: &Sentinels) -> Pipeline {
    let mut commands = Pipeline::with_capacity(2);
    let name = (sentinels.user.as_deref(), sentinels.password.as_deref());
    log_in(&mut commands, name);
    commands
        .cmd("SENTINEL")
        .arg("GET-MASTER-ADDR-BY-NAME")
        .arg(&sentinels.master);
    commands
}

/// What a sentinel answers.
struct Told(Replies);

impl Reader for Told {
    type Answer = Option<Place>;

    fn read(&mut self, bytes: &[u8]) -> io::Result<Progress<Option<Place>>> {
        let values = match self.0.read(bytes)? {
            Progress::Missing(more) => return Ok(Progress::Missing(more)),
            Progress::Done(values) => values,
        };
        let mut place = None;
        for value in values {
            place = match value {
                Value::ServerError(error) => {
                    return Err(refused(format!("a sentinel refused: {}", said(&error))));
                }
                Value::Array(pair) => Some(read_pair(&pair)?),
                _ => None,
            };
        }
        Ok(Progress::Done(place))
    }
}

fn read_pair(pair: &[Value]) -> io::Result<Place> {
    let text = |value: &Value| match value {
        Value::BulkString(text) => String::from_utf8(text.clone()).ok(),
        _ => None,
    };
    let place = match pair {
        [host, port] => text(host).zip(text(port).and_then(|port| port.parse().ok())),
        _ => None,
    };
    let (host, port) = place.ok_or_else(|| {
        io::Error::new(ErrorKind::InvalidData, "a sentinel named no host and port")
    })?;
    Ok(Place::Tcp { host, port })
}
