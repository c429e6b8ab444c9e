//! Turns `{% cache … %}` into what MiniJinja has.
//!
//! MiniJinja has no tags of other people's. `{% cache 300, "name" %}text{% endcache %}` becomes
//!
//! ```jinja
//! {% with __larder = __larder_open("version", 1, 300, "name") %}
//!   {% if __larder is __larder_text %}{{ __larder }}{% else %}
//!     {% filter __larder_close(__larder) %}{% with %}text{% endwith %}{% endfilter %}
//!   {% endif %}
//! {% endwith %}
//! ```
//!
//! on one line, so that lines keep their numbers. The body stays where it is: it sees the variables
//! around it, and may include, call `super()` and hold blocks, none of which the body of a `{% call %}`
//! can. What is open stands in a variable, not in a stack of ours, so that a body that fails somewhere
//! and is caught there takes nobody else's place.

mod nest;
mod scan;
#[cfg(test)]
mod tests;

use minijinja::Error;
use minijinja::syntax::SyntaxConfig;

use crate::version::Version;
use nest::Nest;
use scan::{Form, Kind, Scanner, Tag, Token};

/// The functions, the test and the filter that rewritten templates call.
pub(crate) const OPEN: &str = "__larder_open";
/// As [`OPEN`], for fragments that hold blocks.
pub(crate) const OPEN_BLOCKS: &str = "__larder_open_blocks";
pub(crate) const TEXT: &str = "__larder_text";
pub(crate) const CLOSE: &str = "__larder_close";
pub(crate) const EXTENDS: &str = "__larder_extends";

/// A template as it was read: what is to be put where, and what it depends on.
pub(crate) struct Template<'s> {
    source: &'s str,
    /// In the order of the template.
    edits: Vec<Edit<'s>>,
    /// Which fragments hold blocks, by their numbers.
    with_blocks: Vec<bool>,
    /// The templates that it names: to extend, to include, to import.
    pub(crate) names: Vec<&'s str>,
    delimiters: Delimiters,
}

struct Delimiters {
    block: (String, String),
    variable: (String, String),
}

struct Edit<'s> {
    tag: Tag<'s>,
    what: What,
}

enum What {
    /// `{% cache … %}`: the number of the fragment, and its line.
    Open(usize, usize),
    /// `{% endcache %}`.
    Close,
    /// `{% call cache(…) %}`.
    Call,
    /// `{% extends … %}`.
    Extends,
}

/// The template `name` with its cache tags as MiniJinja understands them.
///
/// For templates that no loader brings; [`Fragments::set_loader`](crate::Fragments::set_loader) does it
/// for those. The version of each fragment is then this source alone, and what it includes counts for
/// nothing.
///
/// # Errors
///
/// A syntax error, naming the template and the line: a cache tag that is not closed, closes nothing or
/// overlaps another block; `break` and `continue` that would leave one; one that is a line statement or
/// has no arguments.
///
/// ```
/// use minijinja::syntax::SyntaxConfig;
/// use larder_minijinja::rewrite;
///
/// let syntax = SyntaxConfig::default();
/// let wrong = "{% for x in y %}\n{% cache 60, 'x' %}{% break %}{% endcache %}{% endfor %}";
/// let error = rewrite("page.html", wrong, &syntax).unwrap_err().to_string();
/// assert!(error.contains("break would leave the cache block of line 2"), "{error}");
/// assert!(error.ends_with("(in page.html:2)"), "{error}");
/// ```
pub fn rewrite(name: &str, source: &str, syntax: &SyntaxConfig) -> Result<String, Error> {
    let template = Template::read(name, source, syntax)?;
    Ok(template.rewritten(&Version::of([source])))
}

impl<'s> Template<'s> {
    pub(crate) fn read(name: &str, source: &'s str, syntax: &SyntaxConfig) -> Result<Self, Error> {
        let (block, variable) = (syntax.block_delimiters(), syntax.variable_delimiters());
        let mut template = Self {
            source,
            edits: Vec::new(),
            with_blocks: Vec::new(),
            names: Vec::new(),
            delimiters: Delimiters {
                block: (block.0.to_owned(), block.1.to_owned()),
                variable: (variable.0.to_owned(), variable.1.to_owned()),
            },
        };
        let mut scanner = Scanner::new(source, syntax);
        let mut nest = Nest::new(name);
        let (mut line, mut counted) = (1, 0);
        while let Some(tag) = scanner.next_tag() {
            line += source[counted..tag.range.start].matches('\n').count();
            counted = tag.range.start;
            template.take(tag, line, &mut nest)?;
        }
        if scanner.is_complete() {
            nest.finish()?;
        }
        Ok(template)
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_plain(&self) -> bool {
        self.edits.is_empty()
    }

    fn take(&mut self, tag: Tag<'s>, line: usize, nest: &mut Nest<'_>) -> Result<(), Error> {
        let is_self = |token: &Token<'_>| token.kind == Kind::Name && token.text == "self";
        if tag.keyword() == "block" || tag.tokens.iter().any(is_self) {
            for number in nest.fragments() {
                self.with_blocks[number] = true;
            }
        }
        let what = match tag.keyword() {
            "cache" | "endcache" if tag.form == Form::Line => {
                let cure = "a cache tag cannot be a line statement (write it between delimiters)";
                return Err(nest.error(line, cure));
            }
            "cache" if tag.tokens.len() == 1 => {
                let cure = "cache tag without arguments (write cache 300, \"name\", or cache none, \"name\" \
                            for the usual time)";
                return Err(nest.error(line, cure));
            }
            "cache" => {
                let number = self.with_blocks.len();
                self.with_blocks.push(false);
                nest.open_fragment(number, line);
                Some(What::Open(number, line))
            }
            "endcache" => {
                nest.close_fragment(line)?;
                Some(What::Close)
            }
            keyword => {
                nest.follow(&tag, line)?;
                match keyword {
                    "extends" | "include" | "import" | "from" => self.names.extend(texts(&tag)),
                    _ => {}
                }
                match keyword {
                    "extends" => Some(What::Extends),
                    "call" if tag.form == Form::Block && calls_cache(&tag) => Some(What::Call),
                    _ => None,
                }
            }
        };
        self.edits.extend(what.map(|what| Edit { tag, what }));
        Ok(())
    }

    /// The template as MiniJinja understands it.
    pub(crate) fn rewritten(&self, version: &Version) -> String {
        let mut out = String::with_capacity(self.source.len() + 250 * self.edits.len());
        let mut done = 0;
        for Edit { tag, what } in &self.edits {
            out.push_str(&self.source[done..tag.range.start]);
            out.push_str(&match what {
                What::Open(number, line) => self.opening(tag, version, *number, *line),
                What::Close => self.closing(tag),
                What::Call => self.called(tag, version),
                What::Extends => self.extending(tag, version),
            });
            done = tag.range.end;
        }
        out.push_str(&self.source[done..]);
        out
    }

    fn opening(&self, tag: &Tag<'_>, version: &Version, number: usize, line: usize) -> String {
        let ((b, e), (v, w)) = (&self.delimiters.block, &self.delimiters.variable);
        let (lead, trail) = (tag.lead, tag.trail);
        let open = match self.with_blocks[number] {
            true => OPEN_BLOCKS,
            false => OPEN,
        };
        let arguments = self.behind_keyword(tag);
        format!(
            "{b}{lead} with __larder = {open}(\"{version}/{number}\", {line},{arguments}) {e}\
             {b} if __larder is {TEXT} {e}{v} __larder {w}{b} else {e}\
             {b} filter {CLOSE}(__larder) {e}{b} with {trail}{e}"
        )
    }

    fn closing(&self, tag: &Tag<'_>) -> String {
        let (b, e) = &self.delimiters.block;
        let (lead, trail) = (tag.lead, tag.trail);
        // Whatever stands behind the keyword is for MiniJinja to turn down.
        let rest = self.behind_keyword(tag);
        format!("{b}{lead} endwith {e}{b} endfilter {e}{b} endif {e}{b} endwith{rest} {trail}{e}")
    }

    /// The call spelling works by itself. The version stands before it so that the source of the
    /// template, by which that spelling goes, is another one when something else was edited.
    fn called(&self, tag: &Tag<'_>, version: &Version) -> String {
        let (b, e) = &self.delimiters.block;
        let behind = tag.range.start + b.len() + tag.lead.len();
        let rest = &self.source[behind..tag.range.end];
        let lead = tag.lead;
        format!("{b}{lead} if \"{version}\" {e}{b} endif {e}{b}{rest}")
    }

    fn extending(&self, tag: &Tag<'_>, version: &Version) -> String {
        let name = self.behind_keyword(tag);
        let before = &self.source[tag.range.start..self.keyword_end(tag)];
        let end = match tag.form {
            Form::Line => String::new(),
            _ => format!("{}{}", tag.trail, self.delimiters.block.1),
        };
        format!("{before} {EXTENDS}({name}, \"{version}\") {end}")
    }

    fn keyword_end(&self, tag: &Tag<'_>) -> usize {
        let keyword = tag.tokens.first();
        keyword.map_or(tag.range.start, |token| token.at + token.text.len())
    }

    /// What stands between the keyword and the end of the tag, with its blanks and newlines.
    fn behind_keyword(&self, tag: &Tag<'_>) -> &'s str {
        let end = match tag.form {
            Form::Line => 0,
            _ => tag.trail.len() + self.delimiters.block.1.len(),
        };
        &self.source[self.keyword_end(tag)..tag.range.end - end]
    }
}

/// The texts in a tag that may be names of templates. One with escapes names none that is worth it.
fn texts<'s>(tag: &Tag<'s>) -> impl Iterator<Item = &'s str> {
    let is_name = |token: &&Token<'s>| token.kind == Kind::Text && !token.text.contains('\\');
    tag.tokens.iter().filter(is_name).map(|token| token.text)
}

/// Whether a `call` tag calls `cache`, with or without arguments for its block.
fn calls_cache(tag: &Tag<'_>) -> bool {
    let mut outside = tag.tokens.iter().skip(1).filter(|token| token.depth == 0);
    outside
        .find(|token| token.kind == Kind::Name)
        .is_some_and(|token| token.text == "cache")
}
