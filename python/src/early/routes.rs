//! Which view answers which address, as far as that was seen.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::guard::Guard;
use crate::function::CachedFunction;

/// Addresses of one half of the table; there are two, so twice as many are known at most.
const HALF: usize = 4096;
/// The longest address that is remembered, in bytes.
const LONGEST: usize = 2048;

/// Where an address leads to.
pub(crate) struct Route {
    pub(super) view: Py<CachedFunction>,
    pub(super) endpoint: Py<PyAny>,
    /// The path of the request as Flask decodes it, in UTF-8.
    pub(crate) path: Box<[u8]>,
    /// What has to hold for a hit to be answered early.
    pub(crate) guard: Py<Guard>,
}

impl Route {
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.view)?;
        visit.call(&self.endpoint)?;
        visit.call(&self.guard)
    }
}

/// Routes by address. What was not asked for since the other half was full is forgotten.
#[derive(Default)]
pub(super) struct Routes {
    young: HashMap<Box<[u8]>, Arc<Route>>,
    old: HashMap<Box<[u8]>, Arc<Route>>,
}

impl Routes {
    pub(super) fn find(&mut self, place: &[u8]) -> Option<Arc<Route>> {
        if let Some(route) = self.young.get(place) {
            return Some(Arc::clone(route));
        }
        // A full young half takes nothing here: what it would push out is dropped by `learn`.
        if self.young.len() < HALF
            && let Some((place, route)) = self.old.remove_entry(place)
        {
            self.young.insert(place, Arc::clone(&route));
            return Some(route);
        }
        self.old.get(place).cloned()
    }

    /// Remembers a route. What it pushes out is handed back, to be dropped where no lock is held.
    #[must_use]
    pub(super) fn learn(&mut self, place: Box<[u8]>, route: Route) -> Forgotten {
        if place.len() > LONGEST {
            return Forgotten(HashMap::new(), vec![Arc::new(route)]);
        }
        let mut dropped: Vec<_> = self.old.remove(&place).into_iter().collect();
        let mut pushed = HashMap::new();
        if self.young.len() >= HALF && !self.young.contains_key(&place) {
            pushed = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
        }
        dropped.extend(self.young.insert(place, Arc::new(route)));
        Forgotten(pushed, dropped)
    }

    /// Forgets everything, and hands it back.
    #[must_use]
    pub(super) fn forget(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.young.values().chain(self.old.values())
    }
}

/// Routes that are not in the table any more. To drop them may run people's code.
pub(super) struct Forgotten(
    #[expect(dead_code, reason = "held until it may be dropped")] HashMap<Box<[u8]>, Arc<Route>>,
    #[expect(dead_code, reason = "held until it may be dropped")] Vec<Arc<Route>>,
);
