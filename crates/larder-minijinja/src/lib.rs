//! Caches fragments of MiniJinja templates.
//!
//! ```jinja
//! {% cache 300, "sidebar", user.id, tags=["user:" ~ user.id] %}
//!   … what is slow to render …
//! {% endcache %}
//! ```
//!
//! The first time, the block is rendered and stored; for 300 seconds after that, its text is what was
//! stored. Many who render it at the same moment render it once. See [`Fragments`] for how to begin.
//!
//! # Two spellings
//!
//! `{% cache timeout, name, value, … %}…{% endcache %}` is Flask-Caching's own. It works in templates
//! that a loader brings, because they are rewritten on their way ([`Fragments::set_loader`]), or that
//! were handed to [`rewrite`](fn@rewrite). Its block may hold anything: includes, `super()`, blocks,
//! macros, other fragments. What it `set`s does not leave it.
//!
//! `{% call cache(name, value, …) %}…{% endcall %}` is plain MiniJinja and works in every template that
//! the environment has ([`Fragments::install`]). Its block is a macro: no includes that need variables,
//! no `super()`, no blocks. Two of one template that show different things need different names.
//!
//! | | |
//! |---|---|
//! | timeout, or `ttl=` in a call | seconds, or a text such as `"5m"`; `none` for what the policy says, 0 for ever, less than 0 not at all; in a tag `"del"` removes what is stored |
//! | name | what [`Fragments::remove`] takes; in a tag without one, the template and the line: `page.html:7` |
//! | values | everything that the block depends on and that differs between renders |
//! | `tags=` | a list of texts, for [`Fragments::bump`] |
//!
//! # What tells fragments apart
//!
//! The name, the values, the way in which the template escapes, and the **version** of the template: its
//! source, and with a loader also that of the templates which it extends, includes or imports by name. So
//! an edited template never shows an old fragment. (One that is found by a name made while rendering,
//! `{% include theme ~ ".html" %}`, does not count. Make it a value of the fragment.) A fragment with
//! blocks in it is another one for each template that fills them.
//!
//! A cache keeps 1,000 fragments of one name, and lets the oldest go for one more; that can be changed
//! ([`max_variants`](larder_core::CacheBuilder::max_variants)) where more users than that have a sidebar
//! each.
//!
//! A value of which no key can be made, because it is undefined, an iterator, or an object that does not
//! list what it holds, never becomes a key that many share: the fragment is rendered, and not stored, and
//! the cache's [observer](larder_core::Observer) is told
//! [`Reason::Unkeyable`](larder_core::Reason::Unkeyable). So is a called fragment of a text that was never
//! a template of the environment, which has no version
//! ([`Reason::UnkeyedInput`](larder_core::Reason::UnkeyedInput)). That a fragment cannot be stored is no
//! reason for a page to fail. Options that make no sense are errors.
//!
//! # Fragments in fragments
//!
//! The outer one holds the text of the inner one: it carries its tags too, and is out of date when the
//! first of those within it is.
//!
//! # When a block fails
//!
//! It was rendered once, and nothing is stored. Whoever waited for it gets an error that says so, and
//! does not render it again. With [`Policy::stale_if_error`](larder_core::Policy::stale_if_error) the
//! stale text is served: to those who waited, and to everyone for the throttle. In the tag spelling the
//! render that failed has its error all the same, for MiniJinja gives nobody a chance to catch it there.
//!
//! # Timeouts
//!
//! There are no `soft_timeout=` and `hard_timeout=`. A render cannot leave a block that it has begun, nor
//! can anybody else go on with it: the variables of the block are those of that render. The timeouts of the
//! [policy](larder_core::Policy::hard_timeout) given to [`Fragments::new`] are for those who wait for the
//! render of another: behind a refresh they take the stale text when the soft one is over, and when the hard
//! one is they have an error in the place of the fragment.
//!
//! # Threads and tasks
//!
//! Rendering is synchronous, so a store has to be one that blocks, or that lies in this process
//! ([`Fragments::new`] turns down others). With the feature `tokio`, a render in a task of a
//! multi-threaded runtime lets the other tasks of its thread go elsewhere while it waits
//! (`block_in_place`, which panics within a `LocalSet`). In a runtime of one thread it waits for nobody,
//! for whom it waited might need that thread: it renders at once. Without the feature, a thread waits
//! as threads do.

mod asked;
mod fragment;
mod fragments;
mod frame;
mod key;
mod loader;
mod render;
mod rewrite;
mod version;
mod waiting;

pub use fragment::{Fragment, FragmentCodec};
pub use fragments::Fragments;
pub use rewrite::rewrite;
