//! What was made of a few pages for the requests of this second.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use super::serve::Sent;
use crate::value::Page;

/// How many pages of a view have what was made of them kept.
const SLOTS: usize = 16;
/// The largest body of one that is kept: a page that is evicted from the store may live on here.
const LARGEST: usize = 64 * 1024;

/// What a page says of itself changes with each second; until then it can be served as it was made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) age: u64,
    pub(super) ttl: Option<i64>,
    pub(super) dated: bool,
}

struct Slot {
    page: Py<Page>,
    moment: Moment,
    whole: Option<Py<Page>>,
    nothing: Option<Py<Page>>,
}

/// The pages that were served last. Nothing of Python is made or dropped while a slot is locked, because
/// the collector may then run code that comes here again.
pub(super) struct Shelf([Mutex<Option<Slot>>; SLOTS]);

impl Shelf {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(None)))
    }

    fn slot(&self, page: &Bound<'_, Page>) -> &Mutex<Option<Slot>> {
        &self.0[(page.as_ptr() as usize >> 6) % SLOTS]
    }

    /// What was sent of the page at this moment.
    pub(super) fn find<'py>(
        &self,
        page: &Bound<'py, Page>,
        moment: Moment,
        sent: &Sent,
    ) -> Option<Bound<'py, Page>> {
        let py = page.py();
        let slot = self
            .slot(page)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let slot = slot.as_ref()?;
        if !slot.page.is(page) || slot.moment != moment {
            return None;
        }
        let made = match sent {
            Sent::Whole => slot.whole.as_ref(),
            Sent::Nothing => slot.nothing.as_ref(),
            Sent::Part(_) | Sent::Unsatisfied(_) => None,
        };
        made.map(|made| made.bind(py).clone())
    }

    /// Keeps what was made of the page.
    pub(super) fn keep(
        &self,
        page: &Bound<'_, Page>,
        moment: Moment,
        sent: &Sent,
        made: &Bound<'_, Page>,
    ) {
        let py = page.py();
        let kind = match sent {
            Sent::Whole => true,
            Sent::Nothing => false,
            Sent::Part(_) | Sent::Unsatisfied(_) => return,
        };
        if page.get().body(py).as_bytes().len() > LARGEST {
            return;
        }
        let made = made.clone().unbind();
        let mut place = self
            .slot(page)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut old = place.take();
        let mut slot = match old.take() {
            Some(slot) if slot.page.is(page) && slot.moment == moment => slot,
            other => {
                old = other;
                Slot {
                    page: page.clone().unbind(),
                    moment,
                    whole: None,
                    nothing: None,
                }
            }
        };
        let replaced = if kind {
            slot.whole.replace(made)
        } else {
            slot.nothing.replace(made)
        };
        *place = Some(slot);
        drop(place);
        drop((old, replaced));
    }
}
