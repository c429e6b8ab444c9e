//! Templates on their way from a loader to the environment.

use std::collections::HashSet;
use std::sync::Mutex;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, TemplateSource};

use crate::rewrite::Template;
use crate::version::Version;

/// A loader that rewrites what `load` brings.
///
/// The version of a template is its source and that of every template that it names, and that those
/// name: what it includes is part of its fragments, and so is what `super()` brings.
pub(crate) fn rewriting<F, R>(
    syntax: SyntaxConfig,
    load: F,
) -> impl Fn(&str) -> Result<Option<TemplateSource>, Error> + Send + Sync + 'static
where
    F: Fn(&str) -> Result<Option<R>, Error> + Send + Sync + 'static,
    R: Into<TemplateSource>,
{
    move |name| {
        let Some(own) = load(name)?.map(Into::into) else {
            return Ok(None);
        };
        let template = Template::read(name, own.source(), &syntax)?;
        if template.is_plain() {
            return Ok(Some(own));
        }
        let others = named(&template, name, &syntax, &load);
        let texts = [own.source()].into_iter();
        let texts = texts.chain(
            others
                .iter()
                .flat_map(|(name, other)| [&**name, other.source()]),
        );
        let rewritten = template.rewritten(&Version::of(texts));
        let sources = others.into_iter().map(|(_, other)| other);
        let watches: Vec<Watch> = [own].into_iter().chain(sources).map(Watch::new).collect();
        let source = TemplateSource::new(rewritten);
        Ok(Some(source.with_uptodate_check(move || {
            watches.iter().all(Watch::is_up_to_date)
        })))
    }
}

/// The templates that a template names, and that those name, with their sources. Names that are made
/// while rendering are not among them, nor is what cannot be loaded.
fn named<F, R>(
    template: &Template<'_>,
    name: &str,
    syntax: &SyntaxConfig,
    load: &F,
) -> Vec<(String, TemplateSource)>
where
    F: Fn(&str) -> Result<Option<R>, Error>,
    R: Into<TemplateSource>,
{
    let mut seen = HashSet::from([name.to_owned()]);
    let mut found: Vec<(String, TemplateSource)> = Vec::new();
    let mut wanted: Vec<String> = template
        .names
        .iter()
        .rev()
        .map(|&name| name.to_owned())
        .collect();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Ok(Some(source)) = load(&name) else {
            continue;
        };
        let source: TemplateSource = source.into();
        if let Ok(template) = Template::read(&name, source.source(), syntax) {
            wanted.extend(template.names.iter().rev().map(|&name| name.to_owned()));
        }
        found.push((name, source));
    }
    found
}

/// Whether a source that was read is still the newest.
///
/// The check that a loader gave it is its own secret: only an environment can ask it. So each source
/// lies as a template in one that takes it for nothing but text, and is gone from there once it is out
/// of date.
struct Watch(Environment<'static>);

impl Watch {
    fn new(source: TemplateSource) -> Self {
        let mut env = Environment::empty();
        // No template has these, and one that had would only be read anew each time.
        let tags = SyntaxConfig::builder()
            .block_delimiters("\0larder{%", "\0")
            .variable_delimiters("\0larder{{", "\0")
            .comment_delimiters("\0larder{#", "\0")
            .build();
        if let Ok(syntax) = tags {
            env.set_syntax(syntax);
        }
        let once = Mutex::new(Some(source));
        env.set_loader(move |_| Ok(once.lock().ok().and_then(|mut source| source.take())));
        let watch = Self(env);
        watch.is_up_to_date();
        watch
    }

    fn is_up_to_date(&self) -> bool {
        self.0.get_template("").is_ok()
    }
}
