//! One cache, as Python sees it: direct use by text, lookups by key.

mod within;

use std::cmp::Reverse;

use larder_core::store::{Listed, Memory, Null, Removal};
use larder_core::{AnyStore, Cache, Kind, Pattern, Store, Tag, UnderBase, Value};
use larder_stores::StoreEvent;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::answer::{Answer, Outcome, chain_of, outcome};
use crate::clock::process_clock;
use crate::codec::PyCodec;
use crate::errors::raise;
use crate::events::tell_of_store;
use crate::http::HttpRule;
use crate::key::{Key, named, text_of};
use crate::packing::Packing;
use crate::policy::{Policy, span};
use crate::recent::Recent;
use crate::seen::EntrySeen;
use crate::stats::FunctionStats;
use crate::value::{Page, PyValue};
use crate::waiting::{Pending, run};

pub(crate) type CoreCache = Cache<PyValue>;

/// The text of a key, and how many seconds it is kept; `None` is for ever.
type Lasting<'py> = (Bound<'py, PyAny>, Option<f64>);

/// A store and everything that the engine decides about it. Cheap to share; one for each backend.
#[pyclass(frozen, module = "flask_larder._native")]
pub struct Engine {
    pub(crate) cache: CoreCache,
    /// Whether an operation may do I/O, so that the interpreter lock is released for it.
    pub(crate) blocks: bool,
    /// Whether an operation may do I/O that holds the interpreter lock: that of a back end in Python.
    in_python: bool,
    /// The most bytes that a value may have: 0 where nothing is kept at all.
    max_value: usize,
    /// What was read by key a moment ago.
    pub(crate) recent: Recent,
}

pub(crate) fn keys_of(texts: &Bound<'_, PyTuple>) -> PyResult<Vec<larder_core::Key>> {
    texts.iter().map(|text| named(&text)).collect()
}

#[pymethods]
impl Engine {
    /// Entries in this process, at most `max_entries` and at most `max_bytes`.
    #[staticmethod]
    #[pyo3(signature = (*, max_entries, max_bytes, max_value, on_event=None))]
    fn memory(
        max_entries: usize,
        max_bytes: usize,
        max_value: usize,
        on_event: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let store: Memory<PyValue> = Memory::builder()
            .max_entries(max_entries)
            .max_bytes(max_bytes)
            .clock(process_clock())
            .build()
            .map_err(raise)?;
        Ok(Self::build(store, max_value, on_event))
    }

    /// The store that `url` names. `packing` seals entries; `deadline` is how many seconds one operation
    /// on a server may take. A server is not asked for yet.
    #[staticmethod]
    #[expect(clippy::too_many_arguments, reason = "keywords of a Python call")]
    #[pyo3(signature = (url, *, namespace, packing, deadline=None, max_value, on_event=None))]
    fn open(
        py: Python<'_>,
        url: &str,
        namespace: String,
        packing: &Packing,
        deadline: Option<f64>,
        max_value: usize,
        on_event: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let mut builder = larder_stores::open(url)
            .map_err(raise)?
            .namespace(namespace)
            .packing(packing.0.clone())
            .max_value(max_value)
            .clock(process_clock());
        if let Some(seconds) = deadline {
            builder = builder.deadline(span("deadline", seconds)?);
        }
        if let Some(callback) = on_event.as_ref().map(|callback| callback.clone_ref(py)) {
            builder =
                builder.observer(move |event: &StoreEvent<'_>| tell_of_store(&callback, event));
        }
        let store = builder
            .build(PyCodec::new(packing.0.seals()))
            .map_err(raise)?;
        Ok(Self::build(store, max_value, on_event))
    }

    /// Keeps nothing.
    #[staticmethod]
    fn null() -> Self {
        Self {
            max_value: 0,
            ..Self::build(AnyStore::new(Null), usize::MAX, None)
        }
    }

    /// The most bytes that a value may have, as far as the cache itself bounds it; 0 for a store that
    /// keeps nothing.
    #[getter]
    fn max_value(&self) -> usize {
        self.max_value
    }

    /// Whether a hit is found without asking anybody: at hand, or where a read holds nobody up.
    #[getter]
    fn answers_at_once(&self) -> bool {
        self.reach().is_some()
    }

    /// Whether an operation may do I/O.
    #[getter]
    fn blocks(&self) -> bool {
        self.blocks
    }

    /// Whether an operation may do I/O that holds the interpreter lock, so that it has no place on an
    /// event loop.
    #[getter]
    fn blocks_in_python(&self) -> bool {
        self.in_python
    }

    /// What to do about `key` now. `chain` holds the numbers of the loads that the caller is in the
    /// middle of, innermost first.
    fn lookup(
        &self,
        py: Python<'_>,
        key: &Key,
        policy: &Policy,
        chain: Vec<u64>,
    ) -> PyResult<Answer> {
        let lookup = self.cache.lookup_in(&key.0, &policy.0, || chain_of(&chain));
        let lookup = run(py, self.blocks, lookup)?;
        Answer::new(py, lookup, self.blocks)
    }

    /// As `lookup`, for a coroutine: answers something to await with `flask_larder._waiting.finish`.
    fn lookup_soon(&self, key: &Key, policy: &Policy, chain: Vec<u64>) -> Pending {
        let (cache, key, policy) = (self.cache.clone(), key.0.clone(), policy.0.clone());
        let blocks = self.blocks;
        Pending::new(blocks, async move {
            let lookup = cache.lookup_in(&key, &policy, || chain_of(&chain)).await;
            Python::attach(|py| {
                let answer = Answer::new(py, lookup, blocks)?;
                Ok(Py::new(py, answer)?.into_any())
            })
        })
    }

    /// A fresh hit under `key` for a request that wants no body, or has it already, as the answer of a
    /// lookup, and without reading the body from a store outside the process; `None` says nothing: look
    /// up then. Its value may be a page without a body, which `rule` serves to that request.
    fn head(
        &self,
        key: &Key,
        policy: &Policy,
        rule: &HttpRule,
        environ: &Bound<'_, PyDict>,
    ) -> PyResult<Option<Answer>> {
        let py = environ.py();
        // A lookup deals with a store that fails.
        let head = run(py, self.blocks, self.cache.head(&key.0, &policy.0))?;
        let Some(hit) = head.ok().flatten() else {
            return Ok(None);
        };
        let value = hit.value().give(py)?;
        let Ok(page) = value.cast_exact::<Page>() else {
            return Ok(None);
        };
        if !rule.suffices(page, environ)? {
            return Ok(None);
        }
        self.cache.was_served(&key.0);
        Answer::hit(py, "hit", &hit).map(Some)
    }

    /// A permit to load `key`, whatever is stored.
    fn refresh(&self, py: Python<'_>, key: &Key, policy: &Policy) -> PyResult<Answer> {
        let lookup = run(py, self.blocks, self.cache.refresh(&key.0, &policy.0))?;
        Answer::new(py, lookup, self.blocks)
    }

    /// The fresh value of exactly this key as a tuple of one, or `None`.
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyAny>,)>> {
        let key = named(key)?;
        let entry = match self.fresh_at_hand(&key) {
            // A memory store has nothing else.
            None if self.cache.store().as_memory().is_none() => {
                self.run(py, self.cache.get_entry(&key))?
            }
            entry => entry,
        };
        entry.map(|entry| Ok((entry.value.give(py)?,))).transpose()
    }

    /// The fresh value of a base key as a tuple of one; where it has none of its own, a list of those of
    /// its variants.
    fn find<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let key = named(key)?;
        if let Some(entry) = self.fresh_at_hand(&key) {
            return Ok((entry.value.give(py)?,).into_pyobject(py)?.into_any());
        }
        match self.run(py, self.cache.find(&key))? {
            UnderBase::Own(entry) => Ok((entry.value.give(py)?,).into_pyobject(py)?.into_any()),
            UnderBase::Variants(variants) => {
                let values = PyList::empty(py);
                for (_, entry) in variants {
                    values.append(entry.value.give(py)?)?;
                }
                Ok(values.into_any())
            }
        }
    }

    /// What `get` answers, counted as a hit of the function that `stats` belong to. `None` also where
    /// the entry is not at hand in this process: there a lookup takes the one trip that there should be.
    fn hit<'py>(
        &self,
        py: Python<'py>,
        key: &Key,
        stats: &FunctionStats,
    ) -> PyResult<Option<(Bound<'py, PyAny>,)>> {
        if !Store::<PyValue>::keeps_at_hand(self.cache.store()) {
            return Ok(None);
        }
        let started = stats.start();
        let Some(entry) = self.fresh_at_hand(&key.0) else {
            return Ok(None);
        };
        let value = entry.value.give(py)?;
        stats.hit(py, entry.cost(), started);
        Ok(Some((value,)))
    }

    /// The fresh values of these keys: tuples of one, or `None`, in their order.
    #[pyo3(signature = (*keys))]
    fn get_many<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyList>> {
        let keys = keys_of(keys)?;
        let values = self.run(py, self.cache.get_many(&keys))?;
        let list = PyList::empty(py);
        for value in values {
            match value {
                Some(value) => list.append((value.give(py)?,))?,
                None => list.append(py.None())?,
            }
        }
        Ok(list)
    }

    /// The fresh values under a base key, that of the base key itself first.
    fn variants<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let key = named(key)?;
        let mut found = self.run(py, self.cache.variants(&key))?;
        found.sort_by_key(|(key, _)| !key.is_base());
        found
            .iter()
            .map(|(_, entry)| entry.value.give(py))
            .collect()
    }

    /// Everything valid under a base key, whatever it is still good for, each as an `EntrySeen`; that
    /// of the base key itself first, then the newest.
    fn entries(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Vec<EntrySeen>> {
        let key = named(key)?;
        let mut found = self.run(py, self.cache.entries(&key))?;
        found.sort_by_key(|(key, entry)| (!key.is_base(), Reverse(entry.stored_at())));
        let now = self.cache.clock().now();
        let seen = found
            .into_iter()
            .map(|(key, entry)| EntrySeen::new(py, key, &entry, now));
        seen.collect()
    }

    /// Stores a value, whatever is there.
    fn set(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        policy: &Policy,
    ) -> PyResult<Outcome> {
        let key = named(key)?;
        match self.kept(value)? {
            Err(reason) => Ok(("refused", Some(reason.to_string()), 0)),
            Ok(value) => {
                let weight = value.weight();
                let stored = self.run(py, self.cache.put(&key, value, &policy.0))?;
                Ok(outcome(stored, weight))
            }
        }
    }

    /// Stores values, whatever is there, each under its key; what `set` answers of each, in their order.
    fn set_many(
        &self,
        py: Python<'_>,
        values: Vec<(Bound<'_, PyAny>, Bound<'_, PyAny>)>,
        policy: &Policy,
    ) -> PyResult<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(values.len());
        let (mut kept, mut weights) = (Vec::with_capacity(values.len()), Vec::new());
        for (key, value) in values {
            let key = named(&key)?;
            match self.kept(&value)? {
                Err(reason) => outcomes.push(Some(("refused", Some(reason.to_string()), 0))),
                Ok(value) => {
                    weights.push(value.weight());
                    kept.push((key, value));
                    outcomes.push(None);
                }
            }
        }
        let stored = self.run(py, self.cache.put_many(kept, &policy.0))?;
        let mut stored = stored.into_iter().zip(weights);
        let outcomes = outcomes.into_iter().filter_map(|refused| {
            refused.or_else(|| {
                stored
                    .next()
                    .map(|(stored, weight)| outcome(stored, weight))
            })
        });
        Ok(outcomes.collect())
    }

    /// Gives what is stored under a key the times of `policy`; whether something was there. What is
    /// written or removed at the same time stays so.
    fn prolong(&self, py: Python<'_>, key: &Bound<'_, PyAny>, policy: &Policy) -> PyResult<bool> {
        let key = named(key)?;
        self.run(py, self.cache.prolong(&key, &policy.0))
    }

    /// Stores a value only where none is. Answers whether it was stored, and a reason if the value
    /// itself cannot be.
    fn add(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        policy: &Policy,
    ) -> PyResult<(bool, Option<String>)> {
        let key = named(key)?;
        match self.kept(value)? {
            Err(reason) => Ok((false, Some(reason.to_string()))),
            Ok(value) => Ok((self.run(py, self.cache.add(&key, value, &policy.0))?, None)),
        }
    }

    /// Adds `delta` to a counter and answers its new value.
    fn count(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        delta: i64,
        policy: &Policy,
    ) -> PyResult<i64> {
        let key = named(key)?;
        self.run(py, self.cache.count(&key, delta, &policy.0))
    }

    /// Removes keys with all their variants. Answers those of which something was there.
    #[pyo3(signature = (*keys))]
    fn remove<'py>(
        &self,
        py: Python<'py>,
        keys: &Bound<'py, PyTuple>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let keys = keys_of(keys)?;
        let removed = self.run(py, self.cache.remove_many(&keys))?;
        removed.iter().map(|key| text_of(py, key)).collect()
    }

    /// Removes every key that begins with `prefix`, views and fragments included. Answers them.
    fn remove_prefix<'py>(
        &self,
        py: Python<'py>,
        prefix: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let prefix = named(prefix)?;
        let removal = Removal::Prefix(prefix.kind(), prefix.base());
        let removed = self.run(py, self.cache.purge(removal))?;
        removed.iter().map(|key| text_of(py, key)).collect()
    }

    /// Removes every key that matches `pattern` (`*`, `?`, backslash). Answers them.
    fn remove_pattern<'py>(
        &self,
        py: Python<'py>,
        pattern: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let text = named(pattern)?;
        let pattern = Pattern::parse(text.base());
        let removal = Removal::Pattern(text.kind(), &pattern);
        let removed = self.run(py, self.cache.purge(removal))?;
        removed.iter().map(|key| text_of(py, key)).collect()
    }

    /// Removes everything in this store's namespace.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.run(py, self.cache.clear())
    }

    /// Makes every entry with one of these tags invalid. `functions` are namespaces of memoized
    /// functions, `names` are tags that people chose.
    #[pyo3(signature = (names, functions=Vec::new()))]
    fn bump(&self, py: Python<'_>, names: Vec<String>, functions: Vec<String>) -> PyResult<()> {
        let names = names.iter().map(Tag::new);
        let tags: Vec<Tag> = names.chain(functions.iter().map(Tag::function)).collect();
        self.run(py, self.cache.bump(&tags))
    }

    /// The texts of the keys that people chose, where the store can list them; else `None`.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
        let Some(memory) = self.cache.store().as_memory() else {
            return Ok(None);
        };
        let mut keys: Vec<larder_core::Key> = memory
            .keys()
            .iter()
            .map(larder_core::Key::base_key)
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let user = keys.iter().filter(|key| key.kind() == Kind::User);
        user.map(|key| text_of(py, key))
            .collect::<PyResult<_>>()
            .map(Some)
    }

    /// The texts of the base keys that begin with `prefix` and under which something lies, each with the
    /// seconds for which the store keeps it (`None` is for ever); `None` where the store cannot say.
    fn listed<'py>(
        &self,
        py: Python<'py>,
        prefix: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Vec<Lasting<'py>>>> {
        let prefix = named(prefix)?;
        let store = self.cache.store();
        let Some(listed) = self.run(py, store.list(prefix.kind(), prefix.base()))? else {
            return Ok(None);
        };
        let seconds = |one: &Listed| one.left.map(|left| left.as_secs_f64());
        let texts = listed
            .iter()
            .map(|one| Ok((text_of(py, &one.key)?, seconds(one))));
        texts.collect::<PyResult<_>>().map(Some)
    }

    /// Forgets the loads under way: for a child process, whose parent goes on with them.
    fn forget_loads(&self) {
        self.cache.forget_loads();
    }

    /// The name of the store and what it holds.
    fn size<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let store = self.cache.store();
        let size = store.size();
        let dict = PyDict::new(py);
        dict.set_item(intern!(py, "store"), Store::<PyValue>::name(store))?;
        dict.set_item(intern!(py, "entries"), size.entries)?;
        dict.set_item(intern!(py, "bytes"), size.bytes)?;
        dict.set_item(intern!(py, "evicted"), size.evicted)?;
        dict.set_item(intern!(py, "told_by"), Store::<PyValue>::told_by(store))?;
        Ok(dict)
    }

    fn __repr__(&self) -> String {
        format!("<Engine {}>", Store::<PyValue>::name(self.cache.store()))
    }
}
