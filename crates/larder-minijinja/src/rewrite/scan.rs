//! Finds the tags of a template, by the rules of MiniJinja's own lexer.
//!
//! What that lexer turns down ends the scan: the rest of the template is left as it is, and MiniJinja
//! says what is wrong with it.

use std::ops::Range;

use minijinja::syntax::SyntaxConfig;

/// A tag or an expression of a template.
#[derive(Debug)]
pub(super) struct Tag<'s> {
    pub(super) form: Form,
    /// From its first delimiter to its last; of a line statement, from the prefix to before the end of
    /// the line.
    pub(super) range: Range<usize>,
    /// `-`, `+` or nothing, behind the first delimiter.
    pub(super) lead: &'s str,
    /// `-`, `+` or nothing, before the last delimiter.
    pub(super) trail: &'s str,
    pub(super) tokens: Vec<Token<'s>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `{% … %}`.
    Block,
    /// `{{ … }}`.
    Variable,
    /// A line that begins with the prefix of line statements.
    Line,
}

/// A name, a text or a sign within a tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind,
    /// As it stands there; of a text, without its quotes.
    pub(super) text: &'s str,
    /// Where it begins.
    pub(super) at: usize,
    /// How many brackets are open around it.
    pub(super) depth: isize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    Text,
    Sign,
}

impl Tag<'_> {
    /// The name of the tag; of an expression, nothing.
    pub(super) fn keyword(&self) -> &str {
        match (self.form, self.tokens.first()) {
            (Form::Block | Form::Line, Some(token)) if token.kind == Kind::Name => token.text,
            _ => "",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Variable,
    Block,
    Comment,
    LineStatement,
    LineComment,
}

/// Goes through a template, tag by tag.
pub(super) struct Scanner<'s> {
    source: &'s str,
    at: usize,
    /// The beginnings of tags, longest first.
    starts: Vec<(String, Marker)>,
    block: (String, String),
    variable_end: String,
    comment_end: String,
    /// Brackets that are open, as the lexer counts them: across tags.
    balance: isize,
    is_complete: bool,
}

impl<'s> Scanner<'s> {
    pub(super) fn new(source: &'s str, syntax: &SyntaxConfig) -> Self {
        let (block, variable) = (syntax.block_delimiters(), syntax.variable_delimiters());
        let comment = syntax.comment_delimiters();
        let mut starts = vec![
            (variable.0.to_owned(), Marker::Variable),
            (block.0.to_owned(), Marker::Block),
            (comment.0.to_owned(), Marker::Comment),
        ];
        let statement = syntax.line_statement_prefix();
        starts.extend(statement.map(|prefix| (prefix.to_owned(), Marker::LineStatement)));
        let remark = syntax.line_comment_prefix();
        starts.extend(remark.map(|prefix| (prefix.to_owned(), Marker::LineComment)));
        starts.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        Self {
            source,
            at: 0,
            starts,
            block: (block.0.to_owned(), block.1.to_owned()),
            variable_end: variable.1.to_owned(),
            comment_end: comment.1.to_owned(),
            balance: 0,
            is_complete: false,
        }
    }

    /// The next tag; `None` at the end, and before something that is no template.
    pub(super) fn next_tag(&mut self) -> Option<Tag<'s>> {
        loop {
            let Some((start, marker, length)) = self.find_start() else {
                self.is_complete = true;
                return None;
            };
            let behind = start + length;
            let lead = match marker {
                Marker::LineStatement | Marker::LineComment => "",
                _ => self.sign_at(behind),
            };
            let inner = behind + lead.len();
            match marker {
                Marker::Comment => {
                    let end = self.source[inner..].find(&self.comment_end)?;
                    self.at = inner + end + self.comment_end.len();
                }
                Marker::LineComment => {
                    let rest = &self.source[inner..];
                    self.at = inner + rest.find(['\r', '\n']).unwrap_or(rest.len());
                }
                Marker::Block => match self.bare_tag(inner, "raw") {
                    Some(end) => self.at = self.end_of_raw(end)?,
                    None => return self.tag(Form::Block, start, (inner, lead)),
                },
                Marker::Variable => return self.tag(Form::Variable, start, (inner, lead)),
                Marker::LineStatement => return self.tag(Form::Line, start, (inner, lead)),
            }
        }
    }

    /// Whether the whole template was read, not only what comes before a mistake.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// The leftmost beginning of a tag, and at that place the longest.
    fn find_start(&self) -> Option<(usize, Marker, usize)> {
        let places = self.source[self.at..].char_indices();
        places.map(|(offset, _)| self.at + offset).find_map(|at| {
            let fits = |(start, marker): &&(String, Marker)| {
                self.source[at..].starts_with(start)
                    && (*marker != Marker::LineStatement || self.begins_line(at))
            };
            let (start, marker) = self.starts.iter().find(fits)?;
            Some((at, *marker, start.len()))
        })
    }

    fn begins_line(&self, at: usize) -> bool {
        let before = self.source[..at].trim_end_matches([' ', '\t']);
        before.is_empty() || before.ends_with(['\r', '\n'])
    }

    fn sign_at(&self, at: usize) -> &'s str {
        let rest = &self.source[at..];
        match rest.starts_with(['-', '+']) {
            true => &rest[..1],
            false => "",
        }
    }

    /// The end of a tag that is nothing but this name, where one is from here on.
    fn bare_tag(&self, at: usize, name: &str) -> Option<usize> {
        let blank = |c: char| c.is_ascii_whitespace();
        let rest = self.source[at..].trim_start_matches(blank);
        let rest = rest.strip_prefix(name)?.trim_start_matches(blank);
        let rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        let rest = rest.strip_prefix(&self.block.1[..])?;
        Some(self.source.len() - rest.len())
    }

    fn end_of_raw(&self, mut at: usize) -> Option<usize> {
        loop {
            at += self.source[at..].find(&self.block.0)? + self.block.0.len();
            let inner = at + self.sign_at(at).len();
            if let Some(end) = self.bare_tag(inner, "endraw") {
                return Some(end);
            }
        }
    }

    /// Reads a tag from behind its first delimiter.
    fn tag(
        &mut self,
        form: Form,
        start: usize,
        (inner, lead): (usize, &'s str),
    ) -> Option<Tag<'s>> {
        let mut tokens = Vec::new();
        self.at = inner;
        loop {
            if let Some((trail, end)) = self.end(form) {
                let range = start..end;
                self.at = end;
                return Some(Tag {
                    form,
                    range,
                    lead,
                    trail,
                    tokens,
                });
            }
            let rest = &self.source[self.at..];
            let blanks = rest.len()
                - rest
                    .trim_start_matches(|c: char| c.is_ascii_whitespace())
                    .len();
            if blanks > 0 {
                self.at += blanks;
                continue;
            }
            tokens.push(self.token()?);
        }
    }

    /// Whether the tag ends here: its last sign, and where what follows begins.
    fn end(&self, form: Form) -> Option<(&'s str, usize)> {
        let rest = &self.source[self.at..];
        if form == Form::Line {
            let behind = rest.trim_start_matches(|c: char| c.is_whitespace() && !is_newline(c));
            let ends = behind.is_empty() || behind.starts_with(is_newline);
            let end = self.source.len() - behind.len();
            return (rest.is_empty() || self.balance == 0 && ends).then_some(("", end));
        }
        if self.balance != 0 {
            return None;
        }
        let delimiter = match form {
            Form::Block => &self.block.1,
            _ => &self.variable_end,
        };
        let sign = self.sign_at(self.at);
        if !sign.is_empty() && rest[1..].starts_with(delimiter) {
            return Some((sign, self.at + 1 + delimiter.len()));
        }
        let end = self.at + delimiter.len();
        rest.starts_with(delimiter).then_some(("", end))
    }

    fn token(&mut self) -> Option<Token<'s>> {
        let (at, depth) = (self.at, self.balance);
        let rest = &self.source[at..];
        let first = rest.chars().next()?;
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let (kind, length) = match first {
            '"' | '\'' => (Kind::Text, text_length(rest, first)?),
            _ if ["//", "**", "==", "!=", ">=", "<="]
                .iter()
                .any(|two| rest.starts_with(two)) =>
            {
                (Kind::Sign, 2)
            }
            // A number ends where its digits do; what may follow of it reads like a name.
            '0'..='9' => (
                Kind::Sign,
                rest.find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len()),
            ),
            _ if is_name(first) => (Kind::Name, rest.find(|c| !is_name(c)).unwrap_or(rest.len())),
            '(' | '[' | '{' | ')' | ']' | '}' => {
                self.balance += if matches!(first, '(' | '[' | '{') {
                    1
                } else {
                    -1
                };
                (Kind::Sign, 1)
            }
            '+' | '-' | '*' | '/' | '%' | '.' | ',' | ':' | '~' | '|' | '=' | '>' | '<' => {
                (Kind::Sign, 1)
            }
            _ => return None,
        };
        self.at += length;
        let text = match kind {
            Kind::Text => &rest[1..length - 1],
            _ => &rest[..length],
        };
        Some(Token {
            kind,
            text,
            at,
            depth,
        })
    }
}

fn is_newline(c: char) -> bool {
    c == '\r' || c == '\n'
}

/// The length of a text with its quotes.
fn text_length(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}
