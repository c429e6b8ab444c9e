//! The scanner against MiniJinja's own lexer.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::{SyntaxConfig, SyntaxConfigBuilder};
use proptest::prelude::*;

use super::scan::{Form, Kind, Scanner};

/// A tag: where it begins and ends, and the names and texts in it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    start: usize,
    end: usize,
    words: Vec<String>,
}

fn syntax(style: usize, edit: impl FnOnce(&mut SyntaxConfigBuilder)) -> SyntaxConfig {
    let mut builder = SyntaxConfig::builder();
    match style {
        0 => {}
        1 => {
            builder
                .line_statement_prefix("%%")
                .line_comment_prefix("##");
        }
        2 => {
            builder
                .block_delimiters("<!", "}")
                .variable_delimiters("<", "}")
                .comment_delimiters("<!--", "-->")
                .line_statement_prefix("<>");
        }
        _ => {
            builder
                .block_delimiters("{%", "end")
                .variable_delimiters("{{", "=>");
        }
    }
    edit(&mut builder);
    builder.build().unwrap()
}

/// The tags up to the first mistake, and whether there was one.
fn by_lexer(source: &str, syntax: &SyntaxConfig) -> (Vec<Seen>, bool) {
    let (mut tags, mut tag) = (Vec::new(), None);
    for token in tokenize(source, false, syntax.clone()) {
        let Ok((token, span)) = token else {
            return (tags, true);
        };
        let opened: &mut Option<Seen> = &mut tag;
        match (token, opened) {
            (Token::BlockStart | Token::VariableStart, opened) => {
                *opened = Some(Seen {
                    start: span.start_offset as usize,
                    ..Seen::default()
                });
            }
            (Token::BlockEnd | Token::VariableEnd, opened) => {
                tags.extend(opened.take().map(|seen| Seen {
                    end: span.end_offset as usize,
                    ..seen
                }));
            }
            (Token::Ident(text) | Token::Str(text), Some(seen)) => seen.words.push(text.to_owned()),
            _ => {}
        }
    }
    (tags, false)
}

fn by_scanner(source: &str, syntax: &SyntaxConfig) -> Vec<Seen> {
    let mut scanner = Scanner::new(source, syntax);
    std::iter::from_fn(|| scanner.next_tag())
        .map(|tag| {
            let behind = &source[tag.range.end..];
            // The lexer counts the end of the line to a line statement.
            let newline = match tag.form {
                Form::Line if behind.starts_with("\n\r") => 2,
                Form::Line => usize::from(behind.starts_with(['\n', '\r'])),
                _ => 0,
            };
            let is_word = |kind| matches!(kind, Kind::Name | Kind::Text);
            let words = tag.tokens.iter().filter(|token| is_word(token.kind));
            // Texts with escapes are other tokens there, without them as they were written.
            let words = words.filter(|token| !token.text.contains('\\'));
            Seen {
                start: tag.range.start,
                end: tag.range.end + newline,
                words: words.map(|token| token.text.to_owned()).collect(),
            }
        })
        .collect()
}

/// What templates are made of, and what looks like it.
const PIECES: [&str; 45] = [
    "{%",
    "%}",
    "{{",
    "}}",
    "{#",
    "#}",
    "<!",
    "<",
    "}",
    "-->",
    "<!--",
    "{",
    "=>",
    "end",
    "=%",
    "_y1",
    "é",
    "-",
    "+",
    "%",
    "%%",
    "##",
    "<>",
    "\n",
    "\r\n",
    " ",
    "\t",
    "'",
    "\"",
    "\\",
    "(",
    ")",
    "[",
    "]",
    "raw",
    "endraw",
    " raw %}",
    "{% endraw -%}",
    "cache",
    "x",
    "17",
    ">=",
    "==",
    "//",
    "!",
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn tags_are_those_that_the_template_engine_sees(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40),
        style in 0_usize..4,
        trims in any::<bool>(),
    ) {
        let source = pieces.concat();
        let syntax = syntax(style, |builder| {
            builder.trim_blocks(trims).lstrip_blocks(trims).keep_trailing_newline(true);
        });
        let mut ours = by_scanner(&source, &syntax);
        let (theirs, is_broken) = by_lexer(&source, &syntax);
        if is_broken {
            // The scanner may see less of a mistake, and the template engine says what it is.
            ours.truncate(theirs.len());
        }
        prop_assert_eq!(ours, theirs, "{:?} in style {}", source, style);
    }
}

#[test]
fn a_tag_is_read_with_its_signs_and_brackets() {
    let source = "a{{ 'x' }}\n{%- cache (1, [2]), \"%}\" +%}";
    let mut scanner = Scanner::new(source, &SyntaxConfig::default());
    assert_eq!(scanner.next_tag().map(|tag| tag.form), Some(Form::Variable));
    let tag = scanner.next_tag().unwrap();
    assert_eq!((tag.keyword(), tag.lead, tag.trail), ("cache", "-", "+"));
    assert_eq!(&source[tag.range.clone()], "{%- cache (1, [2]), \"%}\" +%}");
    let depths: Vec<_> = tag.tokens.iter().map(|token| token.depth).collect();
    assert_eq!(depths, [0, 0, 1, 1, 1, 2, 2, 1, 0, 0]);
    assert!(scanner.next_tag().is_none() && scanner.is_complete());
}
