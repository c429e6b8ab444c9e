//! A fragment that is being rendered, and those around it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use larder_core::{
    AnyStore, Chain, Entry, Lifetime, Permit, Policy, Settled, Tag, Tags, Timestamp,
};
use minijinja::State;
use minijinja::value::{Object, ObjectRepr};

use crate::fragment::Fragment;
use crate::waiting::block;

/// A fragment that is being rendered. Where nothing is to be stored it is one all the same: its block
/// has to be rendered by the same steps.
///
/// One that is dropped and was not [settled](Self::settle) has failed: that is how errors come out of a
/// template. So it belongs to its render alone, and what the template holds is an [`Opened`].
pub(crate) struct Frame {
    loading: Mutex<Option<Loading>>,
    parts: Mutex<Parts>,
}

/// The right and the duty to store what is rendered.
pub(crate) struct Loading {
    pub(crate) permit: Permit<Fragment, AnyStore<Fragment>>,
    pub(crate) policy: Policy,
    /// Whether the store blocks its caller.
    pub(crate) blocks: bool,
}

/// What a fragment takes over from those within it: it holds their text, so it carries their tags, and
/// is out of date when the first of them is.
struct Parts {
    tags: Tags,
    until: Timestamp,
}

/// The fragments that are open in a render, outermost first.
#[derive(Default)]
struct Around(Vec<Arc<Frame>>);

/// What a template holds of a fragment that is open. It may outlive the render: an error keeps the
/// variables of the place where it happened.
#[derive(Debug)]
pub(crate) struct Opened(Weak<Frame>);

impl Opened {
    pub(crate) fn new(frame: &Arc<Frame>) -> Self {
        Self(Arc::downgrade(frame))
    }

    pub(crate) fn frame(&self) -> Option<Arc<Frame>> {
        self.0.upgrade()
    }
}

impl Object for Opened {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

impl Frame {
    /// Begins a fragment, within those that this render has open.
    pub(crate) fn begin(state: &mut State<'_, '_>, loading: Option<Loading>) -> Arc<Self> {
        if let Some(loading) = &loading {
            Chain::open(loading.permit.load());
        }
        let frame = Arc::new(Self {
            loading: Mutex::new(loading),
            parts: Mutex::new(Parts {
                tags: Tags::default(),
                until: Timestamp::NEVER,
            }),
        });
        let around = state.get_or_insert_extension_with(Around::default);
        around.0.push(Arc::clone(&frame));
        frame
    }

    /// The block was rendered to `text`: stores it.
    pub(crate) fn settle(&self, state: &mut State<'_, '_>, now: Timestamp, text: Fragment) {
        self.leave(state);
        let Some(mut loading) = self.take() else {
            return;
        };
        let parts = lock(&self.parts);
        for tag in parts.tags.iter() {
            loading.policy.tags = loading.policy.tags.with(Tag::clone(tag));
        }
        if parts.until != Timestamp::NEVER {
            let left = parts.until.since(now);
            loading.policy.ttl = match loading.policy.ttl {
                Lifetime::For(ttl) => Lifetime::For(ttl.min(left)),
                Lifetime::Forever => Lifetime::For(left),
                Lifetime::DoNotKeep => Lifetime::DoNotKeep,
            };
        }
        drop(parts);
        let until = match loading.policy.ttl {
            Lifetime::For(ttl) => now.plus(ttl),
            Lifetime::Forever => Timestamp::NEVER,
            Lifetime::DoNotKeep => now,
        };
        note(state, &loading.policy.tags, until);
        let Loading {
            permit,
            policy,
            blocks,
        } = loading;
        // A value that the store did not take is an event; the page has it either way.
        block(blocks, permit.store(text, &policy));
    }

    /// The block failed. What stands in for it, if the policy has something stale.
    pub(crate) fn fail(
        &self,
        state: &mut State<'_, '_>,
        wrong: String,
    ) -> Option<Arc<Entry<Fragment>>> {
        self.leave(state);
        let entry = self.take().and_then(|loading| loading.fail(wrong))?;
        note_hit(state, &entry);
        Some(entry)
    }

    /// Leaves the fragments that are open, with all that are still within: those failed, and somebody
    /// caught their errors.
    fn leave(&self, state: &mut State<'_, '_>) {
        let around = state.get_extension_mut::<Around>();
        let failed = around.and_then(|around| {
            let mut all = around.0.iter();
            let place = all.rposition(|frame| std::ptr::eq(&**frame, self))?;
            Some(around.0.split_off(place))
        });
        drop(failed);
    }

    fn take(&self) -> Option<Loading> {
        let loading = lock(&self.loading).take()?;
        Chain::close(loading.permit.load());
        Some(loading)
    }
}

impl Loading {
    fn fail(self, wrong: String) -> Option<Arc<Entry<Fragment>>> {
        match block(self.blocks, self.permit.fail(Arc::new(Failed(wrong)))) {
            Settled::Serve(hit) => Some(hit.entry),
            Settled::Raise(_) => None,
        }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if let Some(loading) = self.take()
            && !std::thread::panicking()
        {
            // One that waits and would render it again would fail again.
            loading.fail("its block failed there".to_owned());
        }
    }
}

/// Tells the fragments around that they hold what this entry holds.
pub(crate) fn note_hit(state: &State<'_, '_>, entry: &Entry<Fragment>) {
    note(state, entry.tags(), entry.fresh_until());
}

fn note(state: &State<'_, '_>, tags: &Tags, until: Timestamp) {
    let Some(around) = state.get_extension::<Around>() else {
        return;
    };
    for frame in &around.0 {
        let mut parts = lock(&frame.parts);
        for tag in tags.iter() {
            parts.tags = parts.tags.with(tag.clone());
        }
        parts.until = parts.until.min(until);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Frame")
    }
}

/// What the render of a fragment failed with, on its way to those who waited for it.
#[derive(Debug)]
struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}
