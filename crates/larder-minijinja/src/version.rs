//! Which version of a template a fragment is of: its source, and that of what it names.

use std::fmt;
use std::ptr;
use std::sync::Arc;

use larder_core::KeyWriter;
use minijinja::State;

/// Names the source of a template and of what it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version(u128);

impl Version {
    pub(crate) fn of<'s>(texts: impl IntoIterator<Item = &'s str>) -> Self {
        let mut writer = KeyWriter::new();
        for text in texts {
            writer.text(text);
        }
        Self(writer.digest())
    }

    /// The version of `self` within what `outer` names.
    pub(crate) fn within(self, outer: Option<Self>) -> Self {
        match outer {
            None => self,
            Some(outer) => Self::of([&*self.to_string(), &outer.to_string()]),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a render knows of its templates.
#[derive(Debug, Default)]
struct Known {
    /// The versions of templates whose fragments are called, by where their names lie.
    versions: Vec<(usize, Arc<str>)>,
    /// The templates that were extended, and by what.
    extended: Vec<Extended>,
}

#[derive(Debug)]
struct Extended {
    parent: Box<str>,
    by: Version,
    /// Whether two different templates have extended it, so that nobody can say which one fills the
    /// blocks at the moment.
    by_others: bool,
}

/// What fills the blocks of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// The template itself, or the one of this version.
    By(Option<Version>),
    /// One of several.
    Unknown,
}

/// The version of the template that is being rendered, for the spelling that no loader has seen. `None`
/// for one that the environment does not have, such as a text that was rendered directly, and for one
/// that was edited since this render began.
pub(crate) fn of_current(state: &mut State<'_, '_>) -> Option<Arc<str>> {
    let name = state.name();
    let place = name.as_ptr().addr();
    if let Some(known) = state.get_extension::<Known>()
        && let Some((_, version)) = known.versions.iter().find(|(at, _)| *at == place)
    {
        return Some(Arc::clone(version));
    }
    let template = state.env().get_template(name).ok()?;
    // A template is compiled together with its name: where the name lies elsewhere, this is another
    // template, or another version of it.
    if !ptr::eq(template.name(), name) {
        return None;
    }
    let version: Arc<str> = Version::of([template.source()]).to_string().into();
    let known = state.get_or_insert_extension_with(Known::default);
    known.versions.push((place, Arc::clone(&version)));
    Some(version)
}

/// Notes that the template that is being rendered, of this version, extends `parent`.
pub(crate) fn note_extends(state: &mut State<'_, '_>, parent: &str, version: Version) {
    // What cannot be loaded is an error of the tag itself.
    let Ok(parent) = state.get_template(parent) else {
        return;
    };
    let (by, is_unsure) = match filled(state) {
        Filled::By(outer) => (version.within(outer), false),
        Filled::Unknown => (version, true),
    };
    let name = parent.name();
    let known = state.get_or_insert_extension_with(Known::default);
    match known
        .extended
        .iter_mut()
        .find(|known| *known.parent == *name)
    {
        Some(known) => known.by_others |= is_unsure || known.by != by,
        None => known.extended.push(Extended {
            parent: name.into(),
            by,
            by_others: is_unsure,
        }),
    }
}

/// What fills the blocks of the template that is being rendered.
pub(crate) fn filled(state: &State<'_, '_>) -> Filled {
    let known = state.get_extension::<Known>();
    let known =
        known.and_then(|known| known.extended.iter().find(|of| *of.parent == *state.name()));
    match known {
        None => Filled::By(None),
        Some(known) if known.by_others => Filled::Unknown,
        Some(known) => Filled::By(Some(known.by)),
    }
}
