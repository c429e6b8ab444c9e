//! An origin that answers by what the test tells it to, behind a layer in the strict mode.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Response};
use larder_tower::CacheLayer;

use crate::places::Place;
use crate::site::{Count, Gate};

type Fields = Vec<(&'static str, String)>;

/// An origin that answers with what it is given, and remembers the last request.
#[derive(Clone)]
pub(crate) struct Origin {
    answer: Arc<Mutex<(u16, Fields)>>,
    asked: Arc<Mutex<HeaderMap>>,
    pub(crate) calls: Count,
    pub(crate) gate: Option<Gate>,
}

impl Origin {
    pub(crate) fn new() -> Self {
        Self {
            answer: Arc::new(Mutex::new((200, Vec::new()))),
            asked: Arc::default(),
            calls: Count::default(),
            gate: None,
        }
    }

    /// What it answers from now on. 0 is no answer at all.
    pub(crate) fn says(&self, status: u16, fields: &[(&'static str, &str)]) {
        let fields = fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        *self.answer.lock().unwrap() = (status, fields.collect());
    }

    /// A header of the last request that it got.
    pub(crate) fn asked(&self, name: &str) -> Option<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    }

    pub(crate) fn behind(&self, layer: &CacheLayer) -> Router {
        let origin = self.clone();
        let answer = move |request: http::Request<Body>| {
            let origin = origin.clone();
            async move {
                *origin.asked.lock().unwrap() = request.headers().clone();
                let call = origin.calls.next();
                let (status, fields) = origin.answer.lock().unwrap().clone();
                if let Some(gate) = &origin.gate {
                    gate.pass().await;
                }
                let mut answer = Response::builder().status(status);
                for (name, value) in fields {
                    answer = answer.header(name, value);
                }
                let has_body = request.method() != "HEAD" && status != 304;
                let body = if has_body {
                    call.to_string()
                } else {
                    String::new()
                };
                answer.body(Body::from(body)).unwrap()
            }
        };
        Router::new().fallback(answer).layer(layer.clone())
    }
}

pub(crate) fn strict(place: &Place) -> (Origin, Router) {
    let origin = Origin::new();
    let app = origin.behind(&place.layer(|builder| builder.strict()));
    (origin, app)
}
