//! Cases in a few words: what an origin answers, and what a client then gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder_core::{Clock, Timestamp};
use larder_http::dates;

use super::common::{Front, Message, Seen, answers, front, soon};

/// A name, the answers of the origin one after the other (the last one stays), and the steps.
///
/// An answer is `STATUS | Field: value | …`; with `confirms` behind the status it is a 304 for whoever asks
/// by its own validator. `{+10}` in a value is the date ten seconds after the beginning.
///
/// A step is `+SECONDS METHOD/path WANT | Field: value | …`, of which only the method and the want are
/// needed. What is wanted: `hit`, nobody asks the origin; `miss`, it is asked for all of it; `confirmed`,
/// it is asked by a validator and says that nothing has changed; `changed`, the same, and it has;
/// `passed`, it is asked, and nothing is said of the body; `becomes`, the origin's newest answer is a hit
/// in the end. More words are a status or `field=value`, `field=` for one that is not there.
pub(crate) struct Case(
    pub(crate) &'static str,
    pub(crate) &'static [&'static str],
    pub(crate) &'static [&'static str],
);

struct Running {
    case: String,
    edge: Front,
    seen: Seen,
    /// The number of the origin's last answer that had a body.
    bodies: Arc<AtomicUsize>,
}

/// Runs the cases of a section, and says all that is wrong with them.
pub(crate) async fn run(section: &str, cases: &[Case]) {
    for Case(name, said, steps) in cases {
        let running = Running::start(format!("{section}: {name}"), said).await;
        for step in *steps {
            running.step(step).await;
        }
    }
}

fn split(text: &str) -> (Vec<&str>, Vec<&str>) {
    let mut parts = text.split(" | ");
    let words = parts.next().unwrap_or_default().split_whitespace();
    (words.collect(), parts.collect())
}

/// A text with its dates written out.
fn dated(text: &str, beginning: Timestamp) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (offset, after) = after.split_once('}').unwrap();
        let millis = beginning.as_millis() as i64 + offset.parse::<i64>().unwrap() * 1000;
        out += before;
        out += &dates::write(Timestamp::from_millis(millis as u64));
        rest = after;
    }
    out + rest
}

/// What the origin says to a request: one of its answers, or that nothing has changed.
fn say(answer: &str, number: usize, request: &Message) -> (Vec<u8>, bool) {
    let (words, fields) = split(answer);
    let field = |name: &str| {
        let named = fields.iter().filter_map(|field| field.split_once(": "));
        named
            .filter(|field| field.0 == name)
            .map(|field| field.1.to_owned())
            .next()
    };
    let asks = |condition: &str, validator: &str| {
        let asked = request.get(condition);
        !asked.is_empty() && Some(asked) == field(validator)
    };
    let same = asks("if-none-match", "ETag") || asks("if-modified-since", "Last-Modified");
    let head: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    if words.contains(&"confirms") && same {
        return (
            format!("HTTP/1.1 304 Not Modified\r\n{head}\r\n").into_bytes(),
            false,
        );
    }
    let body = if words[0] == "304" {
        String::new()
    } else {
        format!("b{number}")
    };
    let length = body.len();
    let body = if request.line().starts_with("HEAD") {
        String::new()
    } else {
        body
    };
    let text = format!(
        "HTTP/1.1 {} Said\r\n{head}Content-Length: {length}\r\n\r\n{body}",
        words[0]
    );
    (text.into_bytes(), !body.is_empty())
}

impl Running {
    async fn start(case: String, said: &'static [&'static str]) -> Self {
        let bodies = Arc::new(AtomicUsize::new(0));
        let noted = Arc::clone(&bodies);
        let beginning = larder_testkit::HandClock::new().now();
        let (origin, seen) = answers(move |number, request| {
            let answer = dated(said[(number - 1).min(said.len() - 1)], beginning);
            let (bytes, has_body) = say(&answer, number, request);
            if has_body {
                noted.store(number, Ordering::SeqCst);
            }
            bytes
        })
        .await;
        let edge = front(origin).await;
        assert_eq!(edge.clock.now(), beginning);
        Self {
            case,
            edge,
            seen,
            bodies,
        }
    }

    async fn step(&self, step: &str) {
        let (mut words, fields) = split(step);
        if let Some(seconds) = words[0].strip_prefix('+') {
            self.edge
                .clock
                .advance(Duration::from_secs(seconds.parse().unwrap()));
            words.remove(0);
        }
        let (method, path) = match words[0].find('/') {
            Some(at) => words[0].split_at(at),
            None => (words[0], "/x"),
        };
        let beginning = larder_testkit::HandClock::new().now();
        let fields: String = fields
            .iter()
            .map(|field| format!("{}\r\n", dated(field, beginning)))
            .collect();
        let length = if method == "POST" {
            "Content-Length: 0\r\n"
        } else {
            ""
        };
        let (asked, body) = (
            self.seen.lock().unwrap().len(),
            self.bodies.load(Ordering::SeqCst),
        );
        let ask = || self.edge.ask(method, path, &fields);
        let answer = match length {
            "" => ask().await,
            length => {
                self.edge
                    .ask(method, path, &format!("{fields}{length}"))
                    .await
            }
        };
        let case = format!(
            "{}, at {step:?}: {:?} {:?}",
            self.case,
            answer.line(),
            answer.fields()
        );
        let now = self.seen.lock().unwrap().len() - asked;
        match words[1] {
            "hit" => assert_eq!(now, 0, "{case}"),
            "becomes" => self.becomes(ask).await,
            "passed" => assert_eq!(now, 1, "{case}"),
            want => {
                assert_eq!(now, 1, "{case}");
                let last = self.seen.lock().unwrap().last().unwrap().clone();
                let by = last.get("if-none-match") + &last.get("if-modified-since");
                assert_eq!(by.is_empty(), want == "miss", "{case}: asked by {by:?}");
                let is_new = self.bodies.load(Ordering::SeqCst) > body;
                assert_eq!(is_new, want != "confirmed" && method != "HEAD", "{case}");
                let newest = format!("b{}", self.bodies.load(Ordering::SeqCst));
                assert!(
                    answer.text() == newest || method == "HEAD",
                    "{case}: {}",
                    answer.text()
                );
            }
        }
        for word in &words[2..] {
            match word.split_once('=') {
                Some((name, value)) => assert_eq!(answer.get(name), value, "{case}"),
                None => assert_eq!(answer.status().to_string(), *word, "{case}"),
            }
        }
    }

    /// Waits until the newest answer of the origin is what clients get.
    async fn becomes<R: Future<Output = Message>>(&self, ask: impl Fn() -> R) {
        soon(async {
            loop {
                let asked = self.seen.lock().unwrap().len();
                let newest = format!("b{}", self.bodies.load(Ordering::SeqCst));
                let answer = ask().await;
                if answer.text() == newest && asked > 1 && self.seen.lock().unwrap().len() == asked
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}
