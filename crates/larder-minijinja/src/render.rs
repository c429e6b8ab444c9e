//! What templates call: one step before a fragment, one behind it.

use std::sync::Arc;
use std::time::Duration;

use larder_core::{Key, KeyWriter, Kind, Lookup, Reason};
use minijinja::value::Object;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, Value};

use crate::asked::Asked;
use crate::fragment::Fragment;
use crate::fragments::Shared;
use crate::frame::{Frame, Loading, Opened, note_hit};
use crate::key;
use crate::rewrite::{CLOSE, EXTENDS, OPEN, OPEN_BLOCKS, TEXT};
use crate::version::{self, Filled, Version};
use crate::waiting::{block, may_follow};

/// Gives an environment what both spellings call.
pub(crate) fn install(env: &mut Environment<'_>, shared: &Arc<Shared>) {
    let by_tag = |with_blocks| {
        Value::from_object(ByTag {
            shared: Arc::clone(shared),
            with_blocks,
        })
    };
    env.add_global(OPEN, by_tag(false));
    env.add_global(OPEN_BLOCKS, by_tag(true));
    env.add_global("cache", Value::from_object(ByCall(Arc::clone(shared))));
    env.add_test(TEXT, |found: &Value| {
        found.downcast_object_ref::<Opened>().is_none()
    });
    let shared = Arc::clone(shared);
    env.add_filter(
        CLOSE,
        move |state: &mut State<'_, '_>, text: &Value, frame: &Value| {
            let opened = frame.downcast_object_ref::<Opened>();
            if let Some(frame) = opened.and_then(Opened::frame) {
                frame.settle(state, shared.cache.clock().now(), Fragment::rendered(text));
            }
            text.clone()
        },
    );
    env.add_function(
        EXTENDS,
        |state: &mut State<'_, '_>, parent: Value, version: &str| {
            if let (Some(parent), Some(version)) = (parent.as_str(), Version::parse(version)) {
                version::note_extends(state, parent, version);
            }
            parent
        },
    );
}

/// `{% cache … %}`, rewritten.
#[derive(Debug)]
struct ByTag {
    shared: Arc<Shared>,
    with_blocks: bool,
}

impl Object for ByTag {
    /// The stored text, or a frame for the block to be rendered in.
    fn call(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        let [version, line, arguments @ ..] = arguments else {
            return Err(Error::new(
                ErrorKind::MissingArgument,
                "a cache tag without its version",
            ));
        };
        let asked = Asked::by_tag(arguments, || format!("{}:{line}", state.name()))?;
        let filled = match self.with_blocks {
            true => version::filled(state),
            false => Filled::By(None),
        };
        let found = self
            .shared
            .find(state, &asked, (version.as_str(), filled))?;
        Ok(match found {
            Found::Text(text) => text,
            Found::Frame(frame) => Value::from_object(Opened::new(&frame)),
        })
    }
}

/// `{% call cache(…) %}`.
#[derive(Debug)]
struct ByCall(Arc<Shared>);

impl Object for ByCall {
    fn call(
        self: &Arc<Self>,
        state: &mut State<'_, '_>,
        arguments: &[Value],
    ) -> Result<Value, Error> {
        let asked = Asked::by_call(arguments)?;
        let caller = asked.caller()?;
        let version = version::of_current(state);
        let frame = match self
            .0
            .find(state, &asked, (version.as_deref(), Filled::By(None)))?
        {
            Found::Text(text) => return Ok(text),
            Found::Frame(frame) => frame,
        };
        match caller.call(state, &[]) {
            Ok(text) => {
                frame.settle(state, self.0.cache.clock().now(), Fragment::rendered(&text));
                Ok(text)
            }
            Err(error) => match frame.fail(state, error.to_string()) {
                Some(entry) => Ok(entry.value.value().clone()),
                None => Err(error),
            },
        }
    }
}

/// What there is for a fragment.
pub(crate) enum Found {
    Text(Value),
    Frame(Arc<Frame>),
}

impl Shared {
    /// The stored text of a fragment; else the right to render it, which may be that of nobody else.
    fn find(
        &self,
        state: &mut State<'_, '_>,
        asked: &Asked<'_>,
        of: (Option<&str>, Filled),
    ) -> Result<Found, Error> {
        let key = match key_of(state, asked, of) {
            Ok(key) => key,
            Err(reason) => {
                self.cache
                    .refuse(&Key::new(Kind::Fragment, &*asked.name), &reason);
                return Ok(Found::Frame(Frame::begin(state, None)));
            }
        };
        if asked.removes() {
            // One that fails is owed, and the observer is told.
            let _ = block(self.blocks, self.cache.remove(&key));
            return Ok(Found::Frame(Frame::begin(state, None)));
        }
        if let Some(hit) = self.cache.hit_at_once(&key) {
            note_hit(state, &hit.entry);
            return Ok(Found::Text(hit.value().value().clone()));
        }
        let mut policy = asked.policy(&self.policy)?;
        if !may_follow() {
            policy.wait = Duration::ZERO;
        }
        match block(self.blocks, self.cache.lookup(&key, &policy)) {
            Lookup::Hit(hit) => {
                note_hit(state, &hit.entry);
                Ok(Found::Text(hit.value().value().clone()))
            }
            // Nobody can render it later: the variables of this render end with it. The others get the
            // stale text meanwhile.
            Lookup::Miss(permit) | Lookup::Stale(_, permit) => {
                let loading = Loading {
                    permit,
                    policy,
                    blocks: self.blocks,
                };
                Ok(Found::Frame(Frame::begin(state, Some(loading))))
            }
            Lookup::Failed(failure) => {
                let detail = format!(
                    "the fragment {:?} failed in another render, for which this one waited: {failure}",
                    asked.name
                );
                Err(Error::new(ErrorKind::InvalidOperation, detail))
            }
            Lookup::Pass(_) | Lookup::Again => Ok(Found::Frame(Frame::begin(state, None))),
        }
    }
}

/// The name, and as its variant: the version of the template, how it escapes, and the values.
fn key_of(
    state: &State<'_, '_>,
    asked: &Asked<'_>,
    (version, filled): (Option<&str>, Filled),
) -> Result<Key, Reason> {
    let Some(version) = version else {
        return Err(Reason::UnkeyedInput("the source of the template".into()));
    };
    let mut writer = KeyWriter::with_capacity(96);
    writer.text("minijinja").text(version);
    match filled {
        Filled::By(None) => writer.none(),
        Filled::By(Some(version)) => writer.text(&version.to_string()),
        Filled::Unknown => {
            return Err(Reason::UnkeyedInput(
                "which template fills the blocks".into(),
            ));
        }
    };
    match state.auto_escape() {
        AutoEscape::None => writer.none(),
        AutoEscape::Html => writer.text("html"),
        other => writer.text(&format!("{other:?}")),
    };
    writer.tuple(asked.values.len());
    for (at, value) in asked.values.iter().enumerate() {
        key::write(&mut writer, value)
            .map_err(|why| Reason::Unkeyable(format!("value {} {why}", at + 1).into()))?;
    }
    Ok(Key::new(Kind::Fragment, &*asked.name).with_variant(&writer))
}
