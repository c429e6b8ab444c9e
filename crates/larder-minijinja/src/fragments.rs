//! The fragments of one cache.

use std::fmt;
use std::sync::Arc;

use larder_core::{Cache, ErrorKind, Key, Kind, Policy, Result, Store, Tag};
use minijinja::{Environment, TemplateSource};

use crate::fragment::Fragment;
use crate::waiting::block;
use crate::{loader, render};

/// The cached fragments of templates. Cheap to clone; all clones are one.
///
/// ```
/// use std::time::Duration;
/// use larder_core::{Cache, Policy, store::Memory};
/// use larder_minijinja::Fragments;
/// use minijinja::{Environment, context};
///
/// let cache = Cache::new(Memory::builder().build()?);
/// let fragments = Fragments::new(cache, Policy::new(Duration::from_secs(300)))?;
/// let mut env = Environment::new();
/// fragments.set_loader(&mut env, |name| {
///     Ok((name == "page.html").then(|| {
///         "{% cache 60, 'menu', user, tags=['menus'] %}{{ items() }}{% endcache %}".to_owned()
///     }))
/// });
/// env.add_function("items", || "a slow list");
///
/// let page = env.get_template("page.html")?;
/// assert_eq!(page.render(context! { user => 7 })?, "a slow list");
///
/// // After a write, one of:
/// fragments.remove("menu")?;
/// fragments.bump(["menus"])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Fragments(Arc<Shared>);

/// What all clones, and all environments, share.
pub(crate) struct Shared {
    pub(crate) cache: Cache<Fragment>,
    pub(crate) policy: Policy,
    /// Whether the store blocks its caller.
    pub(crate) blocks: bool,
}

impl Fragments {
    /// Fragments that lie in `cache`, under `policy` where they do not say anything else: how long they
    /// are fresh, the tags that all of them carry, for how long they are served stale.
    ///
    /// A stale fragment is refreshed by the render that finds it stale, while the others are served what
    /// there is: what a block needs ends with its render, so nobody could do it later.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a store that waits as tasks do: rendering is synchronous, and there may
    /// be nobody to run the task that it waits for.
    pub fn new(cache: Cache<Fragment>, policy: Policy) -> Result<Self> {
        let store = cache.store();
        if store.may_wait() {
            let detail = format!(
                "the store {} waits as a task, and a template cannot (build it for threads: with build(), \
                 not build_tokio())",
                store.name()
            );
            return Err(larder_core::Error::new(ErrorKind::Config, detail));
        }
        let blocks = store.may_block();
        Ok(Self(Arc::new(Shared {
            cache,
            policy,
            blocks,
        })))
    }

    /// Gives an environment the function `cache`, for `{% call cache("name", …) %}`, and what templates
    /// need that were rewritten by [`rewrite`](fn@crate::rewrite).
    pub fn install(&self, env: &mut Environment<'_>) {
        render::install(env, &self.0);
    }

    /// Gives an environment its loader, and what [`install`](Self::install) gives it: templates that
    /// come by `load` may have `{% cache … %}` tags.
    ///
    /// The tags are read by the syntax that the environment has now, so set that first. Templates are
    /// loaded anew when [`path_loader`](minijinja::path_loader), or whatever `load` is, says that they
    /// have changed; one with fragments also when a template has changed that it extends, includes or
    /// imports by name.
    ///
    /// A template that has its tags in the wrong places is an error when it is loaded; see
    /// [`rewrite`](fn@crate::rewrite). Errors that come later have the lines of the template as it was
    /// written. What the debug information of an error shows of those lines is the rewritten text.
    pub fn set_loader<F, R>(&self, env: &mut Environment<'_>, load: F)
    where
        F: Fn(&str) -> std::result::Result<Option<R>, minijinja::Error> + Send + Sync + 'static,
        R: Into<TemplateSource>,
    {
        self.install(env);
        env.set_loader(loader::rewriting(env.syntax().clone(), load));
    }

    /// The cache underneath.
    pub fn cache(&self) -> &Cache<Fragment> {
        &self.0.cache
    }

    /// Forgets all fragments of this name, whatever their values. Answers whether there was one. Waits
    /// on this thread, as do the other two.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn remove(&self, name: &str) -> Result<bool> {
        let key = Key::new(Kind::Fragment, name);
        block(self.0.blocks, self.0.cache.remove(&key))
    }

    /// Makes every fragment with one of these tags invalid, at once, however many there are.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn bump<T: AsRef<[u8]>>(&self, tags: impl IntoIterator<Item = T>) -> Result<()> {
        let tags: Vec<Tag> = tags.into_iter().map(Tag::new).collect();
        block(self.0.blocks, self.0.cache.bump(&tags))
    }

    /// Forgets every fragment.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn clear(&self) -> Result<()> {
        block(self.0.blocks, self.0.cache.clear())
    }
}

impl fmt::Debug for Fragments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fragments").field(&self.0).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("cache", &self.cache)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
