//! Templates put together at random: with cache tags they render as without.

use std::collections::HashMap;
use std::time::Duration;

use larder_core::store::Memory;
use larder_core::{Cache, Policy};
use larder_minijinja::{Fragment, Fragments};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, context};
use proptest::prelude::*;

/// The delimiters of blocks, variables and comments, and what else is set.
struct Style {
    tags: [(&'static str, &'static str); 3],
    trims: bool,
    has_lines: bool,
}

const STYLES: [Style; 3] = [
    Style {
        tags: [("{%", "%}"), ("{{", "}}"), ("{#", "#}")],
        trims: false,
        has_lines: false,
    },
    Style {
        tags: [("{%", "%}"), ("{{", "}}"), ("{#", "#}")],
        trims: true,
        has_lines: true,
    },
    Style {
        tags: [("<!", "}"), ("<", "}"), ("<!--", "-->")],
        trims: false,
        has_lines: true,
    },
];

impl Style {
    fn syntax(&self) -> SyntaxConfig {
        let [block, variable, comment] = self.tags;
        let mut builder = SyntaxConfig::builder();
        builder
            .block_delimiters(block.0, block.1)
            .variable_delimiters(variable.0, variable.1)
            .comment_delimiters(comment.0, comment.1)
            .trim_blocks(self.trims)
            .lstrip_blocks(self.trims);
        if self.has_lines {
            builder
                .line_statement_prefix("%%")
                .line_comment_prefix("##");
        }
        builder.build().unwrap()
    }
}

/// A template and the same without its cache tags, from bytes that decide what comes next.
struct Pair<'a> {
    style: &'a Style,
    choices: std::slice::Iter<'a, u8>,
    cached: String,
    plain: String,
    blocks: usize,
}

/// Where a piece stands.
#[derive(Clone, Copy)]
struct Place {
    depth: usize,
    /// Whether a loop is around it with nothing but conditions between: MiniJinja cannot leave others.
    may_break: bool,
    /// Whether blocks, includes and `super()` may stand here.
    is_in_macro: bool,
    has_parent: bool,
}

impl Place {
    fn within(self) -> Self {
        Self {
            depth: self.depth - 1,
            may_break: false,
            ..self
        }
    }
}

const TEXTS: [&str; 10] = ["a", " ", "\n", " \n  ", "<b>", "{ %", "}", "-", "\r\n", "é"];
const EXPRESSIONS: [&str; 10] = [
    "x",
    "y",
    "' %} } '",
    "\"endcache \\\" <! endcache }\"",
    "{'a': {'b': x}}.a.b",
    "m(x)",
    "'<' ~ y ~ '>'",
    "[1, 2][x - x]",
    "(x | string) ~ 1.5",
    "-1 // 2",
];
const COMMENTS: [&str; 3] = [" endcache ", "{% endcache %}", " it's "];

impl Pair<'_> {
    fn choose(&mut self, most: usize) -> usize {
        usize::from(self.choices.next().copied().unwrap_or(0)) % most
    }

    fn both(&mut self, text: &str) {
        self.cached.push_str(text);
        self.plain.push_str(text);
    }

    /// A tag, with signs for the whitespace around it.
    fn tag(&mut self, sort: usize, inner: &str) -> String {
        const SIGNS: [&str; 4] = ["", "", "-", "+"];
        let (lead, trail) = (SIGNS[self.choose(4)], SIGNS[self.choose(4)]);
        let (start, end) = self.style.tags[sort];
        format!("{start}{lead} {inner} {trail}{end}")
    }

    fn block(&mut self, inner: &str) {
        let tag = self.tag(0, inner);
        self.both(&tag);
    }

    fn pieces(&mut self, place: Place) {
        for _ in 0..self.choose(4) + 1 {
            self.piece(place);
        }
    }

    fn around(&mut self, open: &str, place: Place, close: &str) {
        self.block(open);
        self.pieces(place);
        self.block(close);
    }

    fn piece(&mut self, place: Place) {
        match self.choose(if place.depth == 0 { 7 } else { 20 }) {
            0 | 1 => {
                let text = TEXTS[self.choose(TEXTS.len())];
                if !text.starts_with(self.style.tags[1].0) {
                    self.both(text);
                }
            }
            2 | 3 => {
                let expression = EXPRESSIONS[self.choose(EXPRESSIONS.len())];
                let tag = self.tag(1, expression);
                self.both(&tag);
            }
            4 => {
                let comment = COMMENTS[self.choose(COMMENTS.len())];
                let tag = self.tag(2, comment);
                self.both(&tag);
            }
            5 => self.block("set y = y ~ 'z'"),
            6 => self.raw(),
            17 if self.style.has_lines => {
                self.both("\n  %% if x == (1,\n 1)[0]\n");
                self.pieces(place.within());
                self.both("\n## endcache <! endcache }\n %% endif\n");
            }
            18 if place.may_break => {
                let jump = ["break", "continue"][self.choose(2)];
                self.block(jump);
            }
            choice @ 7..=16 => self.nested(choice, place),
            _ if place.is_in_macro => {}
            17 | 18 => {
                self.blocks += 1;
                let name = format!("block b{}", self.blocks);
                self.around(&name, place.within(), "endblock");
            }
            _ if place.has_parent && self.choose(2) == 0 => {
                let tag = self.tag(1, "super()");
                self.both(&tag);
            }
            _ => self.block("include 'part.html'"),
        }
    }

    fn nested(&mut self, choice: usize, place: Place) {
        let inner = place.within();
        match choice {
            7..=10 => self.cache(inner),
            11 => {
                let inner = Place {
                    may_break: true,
                    ..inner
                };
                self.around("for x in [1, 2]", inner, "endfor");
            }
            12 => {
                let inner = Place {
                    may_break: place.may_break,
                    ..inner
                };
                self.block("if x == 1");
                self.pieces(inner);
                self.block("else");
                self.pieces(inner);
                self.block("endif");
            }
            13 => self.around("set y", inner, "endset"),
            14 => self.around("filter upper", inner, "endfilter"),
            15 => self.around("autoescape false", inner, "endautoescape"),
            _ => {
                let inner = Place {
                    is_in_macro: true,
                    ..inner
                };
                self.around("call w()", inner, "endcall");
            }
        }
    }

    fn raw(&mut self) {
        let (start, end) = self.style.tags[0];
        let close = self.tag(0, "endraw");
        // MiniJinja's raw tags have no sign in front.
        self.both(&format!("{start} raw {end} {start} endcache {end}{close}"));
    }

    fn cache(&mut self, inner: Place) {
        const NAMES: [&str; 3] = ["'a'", "'b'", "'%} }'"];
        const OPTIONS: [&str; 3] = ["", ", tags=['t']", ",\n tags=['t', 'x' ~ x]"];
        const REST: [&str; 3] = ["", "", "\n"];
        let (name, option) = (NAMES[self.choose(3)], self.choose(3));
        let inside = format!("cache 60, {name}, x, y{}", OPTIONS[option]);
        let open = self.tag(0, &inside);
        let close = self.tag(0, "endcache");
        // A macro sees the variables that it names: so the plain template has to name them too. Both
        // have the same lines.
        let plain = open.replacen(&inside, &format!("with _ = [x, y{}]", REST[option]), 1);
        self.cached.push_str(&open);
        self.plain.push_str(&plain);
        self.pieces(inner);
        self.cached.push_str(&close);
        self.plain
            .push_str(&close.replacen("endcache", "endwith", 1));
    }
}

/// The sources of a site with the cache tags, and without.
fn site(choices: [&[u8]; 3], style: &Style) -> [HashMap<&'static str, String>; 2] {
    let mut sites = [HashMap::new(), HashMap::new()];
    for (name, choices) in ["base.html", "part.html", "page.html"]
        .into_iter()
        .zip(choices)
    {
        let mut pair = Pair {
            style,
            choices: choices.iter(),
            cached: String::new(),
            plain: String::new(),
            blocks: match name {
                "page.html" => 1,
                "base.html" => 100,
                _ => 200,
            },
        };
        let place = Place {
            depth: 4,
            may_break: false,
            // It would include itself.
            is_in_macro: name == "part.html",
            has_parent: name == "page.html",
        };
        pair.block("macro m(a)");
        let tag = pair.tag(1, "a");
        pair.both(&tag);
        pair.block("endmacro");
        pair.block("macro w()");
        let tag = pair.tag(1, "caller()");
        pair.both(&tag);
        pair.block("endmacro");
        let extends = name == "page.html" && pair.choose(2) == 0;
        if extends {
            pair.block("extends 'base.html'");
            pair.around("block b101", place, "endblock");
        } else {
            pair.pieces(Place {
                has_parent: false,
                ..place
            });
        }
        sites[0].insert(name, pair.cached);
        sites[1].insert(name, pair.plain);
    }
    sites
}

fn renders(env: &Environment<'_>) -> Vec<Result<String, String>> {
    let render = |x: i32| {
        let page = env
            .get_template("page.html")
            .map_err(|error| error.to_string())?;
        let text = page.render(context! { x, y => "&" });
        text.map_err(|error| error.to_string())
    };
    [1, 2, 1].into_iter().map(render).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn cache_tags_change_nothing_of_what_is_rendered(
        base in prop::collection::vec(any::<u8>(), 0..60),
        part in prop::collection::vec(any::<u8>(), 0..60),
        page in prop::collection::vec(any::<u8>(), 30..300),
        style in 0_usize..3,
    ) {
        let style = &STYLES[style];
        let [cached, plain] = site([&base, &part, &page], style);
        let shown = format!("{}\n{}\n{}", cached["page.html"], cached["base.html"], cached["part.html"]);

        let mut without = Environment::new();
        without.set_syntax(style.syntax());
        let load = plain.clone();
        without.set_loader(move |name| Ok(load.get(name).cloned()));
        let expected = renders(&without);

        let memory = Memory::builder().build::<Fragment>().unwrap();
        let fragments = Fragments::new(Cache::new(memory), Policy::new(Duration::from_secs(60))).unwrap();
        let mut with = Environment::new();
        with.set_syntax(style.syntax());
        fragments.set_loader(&mut with, move |name| Ok(cached.get(name).cloned()));
        prop_assert_eq!(renders(&with), expected.clone(), "cold:\n{}\nplain:\n{}", shown, plain["page.html"]);
        prop_assert_eq!(renders(&with), expected, "warm:\n{}", shown);
    }
}
