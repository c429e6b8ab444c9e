//! What stands within what, and what must not leave it.

use minijinja::{Error, ErrorKind};

use super::scan::{Kind, Tag, Token};

/// The tags that are open at some place of a template.
pub(super) struct Nest<'s> {
    /// The name of the template, for errors.
    template: &'s str,
    open: Vec<Opened>,
}

struct Opened {
    name: String,
    line: usize,
    /// Which of the template's fragments it is, if it is one.
    fragment: Option<usize>,
}

/// The tags that go on until another ends them, but for `set`, which may.
const BLOCKS: [&str; 8] = [
    "autoescape",
    "block",
    "call",
    "filter",
    "for",
    "if",
    "macro",
    "with",
];

impl<'s> Nest<'s> {
    pub(super) fn new(template: &'s str) -> Self {
        Self {
            template,
            open: Vec::new(),
        }
    }

    /// The numbers of the fragments that are open.
    pub(super) fn fragments(&self) -> impl Iterator<Item = usize> + '_ {
        self.open.iter().filter_map(|opened| opened.fragment)
    }

    pub(super) fn open_fragment(&mut self, number: usize, line: usize) {
        self.open.push(Opened {
            name: "cache".to_owned(),
            line,
            fragment: Some(number),
        });
    }

    pub(super) fn close_fragment(&mut self, line: usize) -> Result<(), Error> {
        match self.open.pop() {
            Some(opened) if opened.fragment.is_some() => Ok(()),
            Some(opened) => {
                let wrong = format!(
                    "endcache within the {} block of line {} (end that first)",
                    opened.name, opened.line
                );
                Err(self.error(line, &wrong))
            }
            None => Err(self.error(line, "endcache without a cache tag before it")),
        }
    }

    /// Follows any other tag.
    pub(super) fn follow(&mut self, tag: &Tag<'_>, line: usize) -> Result<(), Error> {
        let name = tag.keyword();
        if let Some(block) = name.strip_prefix("end") {
            return self.end(block, line);
        }
        match name {
            "else" | "elif" => self.check_inside(name, line),
            "break" | "continue" => self.check_jump(name, line),
            _ if BLOCKS.contains(&name) || name == "set" && !assigns(tag) => {
                self.open.push(Opened {
                    name: name.to_owned(),
                    line,
                    fragment: None,
                });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Says which fragment was never closed.
    pub(super) fn finish(&self) -> Result<(), Error> {
        let open = self
            .open
            .iter()
            .rev()
            .find(|opened| opened.fragment.is_some());
        open.map_or(Ok(()), |opened| {
            Err(self.error(opened.line, "cache tag without an endcache behind it"))
        })
    }

    fn end(&mut self, block: &str, line: usize) -> Result<(), Error> {
        self.check_inside(&format!("end{block}"), line)?;
        if self.open.last().is_some_and(|opened| opened.name == block) {
            self.open.pop();
        }
        Ok(())
    }

    /// Turns down what belongs to a block outside of the fragment that it stands in.
    fn check_inside(&self, name: &str, line: usize) -> Result<(), Error> {
        match self.open.last() {
            Some(opened) if opened.fragment.is_some() => {
                let wrong = format!(
                    "{name} within the cache block of line {}, whose own block is outside (move endcache \
                     before it)",
                    opened.line
                );
                Err(self.error(line, &wrong))
            }
            _ => Ok(()),
        }
    }

    /// A jump out of a fragment would leave it without an end.
    fn check_jump(&self, name: &str, line: usize) -> Result<(), Error> {
        let stops = |opened: &&Opened| {
            opened.fragment.is_some()
                || ["for", "macro", "call", "block"].contains(&&opened.name[..])
        };
        match self.open.iter().rev().find(stops) {
            Some(opened) if opened.fragment.is_some() => {
                let wrong = format!(
                    "{name} would leave the cache block of line {} (put the whole loop into it, or the \
                     condition around it)",
                    opened.line
                );
                Err(self.error(line, &wrong))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn error(&self, line: usize, wrong: &str) -> Error {
        let detail = format!("{wrong} (in {}:{line})", self.template);
        Error::new(ErrorKind::SyntaxError, detail)
    }
}

/// Whether a `set` tag is complete in itself: `x = 1`, not the beginning of a block.
fn assigns(tag: &Tag<'_>) -> bool {
    let sign = |token: &Token<'_>| token.kind == Kind::Sign && token.depth == 0;
    tag.tokens
        .iter()
        .any(|token| sign(token) && token.text == "=")
}
