//! Templates under a cache whose time is moved by hand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use larder_core::store::Memory;
use larder_core::{AnyStore, Cache, Policy};
use larder_minijinja::{Fragment, Fragments};
use larder_testkit::{HandClock, PATIENCE, Recorder};
use minijinja::{Environment, Error, TemplateSource, Value};

/// Sources by their names, which a test may edit.
#[derive(Clone, Default)]
pub(crate) struct Sources(Arc<Mutex<HashMap<String, String>>>);

pub(crate) struct World {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) told: Recorder,
    pub(crate) fragments: Fragments,
    pub(crate) env: Environment<'static>,
    pub(crate) sources: Sources,
    calls: Arc<AtomicUsize>,
}

impl Sources {
    pub(crate) fn set(&self, name: &str, source: &str) {
        self.0.lock().unwrap().insert(name.into(), source.into());
    }

    /// A source that says whether it is still the newest, as files do.
    pub(crate) fn load(&self, name: &str) -> Result<Option<TemplateSource>, Error> {
        let all = self.0.lock().unwrap();
        let Some(source) = all.get(name).cloned() else {
            return Ok(None);
        };
        let (sources, name, text) = (self.clone(), name.to_owned(), source.clone());
        Ok(Some(TemplateSource::new(source).with_uptodate_check(
            move || sources.0.lock().unwrap().get(&name) == Some(&text),
        )))
    }
}

impl World {
    /// A world with these templates, whose fragments live for a minute unless they say otherwise.
    pub(crate) fn with(templates: &[(&str, &str)]) -> Self {
        Self::of(Policy::new(Duration::from_secs(60)), templates)
    }

    pub(crate) fn of(policy: Policy, templates: &[(&str, &str)]) -> Self {
        let (clock, told) = (HandClock::new(), Recorder::new());
        let memory = Memory::builder().clock(clock.clone()).build::<Fragment>();
        let cache: Cache<Fragment> = Cache::builder(AnyStore::from(memory.unwrap()))
            .clock(clock.clone())
            .observer(told.clone())
            .build();
        let fragments = Fragments::new(cache, policy).unwrap();
        let sources = Sources::default();
        for (name, source) in templates {
            sources.set(name, source);
        }
        let (mut env, calls) = (Environment::new(), Arc::default());
        equip(&mut env, &calls);
        let load = sources.clone();
        fragments.set_loader(&mut env, move |name| load.load(name));
        Self {
            clock,
            told,
            fragments,
            env,
            sources,
            calls,
        }
    }

    pub(crate) fn render(&self, name: &str, context: Value) -> String {
        self.try_render(name, context).unwrap()
    }

    pub(crate) fn try_render(&self, name: &str, context: Value) -> Result<String, Error> {
        self.env.get_template(name)?.render(context)
    }

    /// How often templates have called `count()`.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// The functions of all templates: `count()` counts its calls, `fail()` fails.
pub(crate) fn equip(env: &mut Environment<'_>, calls: &Arc<AtomicUsize>) {
    let calls = Arc::clone(calls);
    env.add_function("count", move || calls.fetch_add(1, Ordering::SeqCst) + 1);
    env.add_function("fail", || -> Result<Value, Error> {
        Err(Error::new(
            minijinja::ErrorKind::InvalidOperation,
            "on purpose",
        ))
    });
}

/// Runs a test that would wait for ever where it fails, for the time stands still.
pub(crate) fn in_time(test: impl FnOnce() + Send + 'static) {
    let (end, ended) = channel::<()>();
    let running = thread::spawn(move || {
        test();
        drop(end);
    });
    if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
        panic!("somebody waits for what never comes");
    }
    if let Err(panic) = running.join() {
        std::panic::resume_unwind(panic);
    }
}
