//! `{% cache … %}`: what may stand in it, and what it leaves as it was.

use larder_minijinja::rewrite;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, context};

use crate::world::World;

#[test]
fn a_hit_renders_nothing_of_the_body() {
    let page = "{% cache 60, 'x', user %}{{ user }}:{{ count() }}{% endcache %}!";
    let world = World::with(&[("page.html", page)]);
    for _ in 0..3 {
        assert_eq!(world.render("page.html", context! { user => 7 }), "7:1!");
    }
    assert_eq!(world.render("page.html", context! { user => 8 }), "8:2!");
    assert_eq!(world.calls(), 2);
    assert_eq!(world.told.count("hit"), 2);
}

#[test]
fn the_body_sees_what_is_around_it_and_may_hold_anything() {
    let world = World::with(&[
        ("base.html", "<{% block body %}base{% endblock %}>"),
        (
            "page.html",
            "{% extends 'base.html' %}\
             {% macro item(x) %}[{{ x }}:{{ outer }}]{% endmacro %}\
             {% block body %}{% set outer = 'o' %}{% for n in [1, 2] %}\
             {% cache 60, 'each', n %}{{ count() }} {{ super() }} {% include 'part.html' %} {{ loop.index }}\
             {% block inner %}i{{ n }}{% endblock %}{{ item(n) }}\
             {% cache 60, 'inner' %}!{% endcache %}{% endcache %}\
             {% endfor %}{% endblock %}",
        ),
        ("part.html", "part of {{ n }} in {{ outer }}"),
    ]);
    let expected = "<1 base part of 1 in o 1i1[1:]!2 base part of 2 in o 2i2[2:]!>";
    assert_eq!(world.render("page.html", context! {}), expected);
    assert_eq!(world.render("page.html", context! {}), expected);
    assert_eq!(world.calls(), 2);
}

#[test]
fn macros_may_hold_fragments_and_call_their_callers_in_them() {
    let world = World::with(&[
        (
            "lib.html",
            "{% macro box(id) %}{% cache 60, 'box', id %}({{ caller() }}{{ count() }}){% endcache %}{% endmacro %}",
        ),
        (
            "page.html",
            "{% from 'lib.html' import box %}{% for id in [1, 2, 1] %}{% call box(id) %}{{ id }}:{% endcall %}\
             {% endfor %}",
        ),
    ]);
    assert_eq!(world.render("page.html", context! {}), "(1:1)(2:2)(1:1)");
    assert_eq!(world.calls(), 2);
}

#[test]
fn what_a_body_sets_does_not_leave_it() {
    let page = "{% set x = 1 %}{% cache 60, 'x' %}{% set x = 2 %}{{ x }}{% endcache %}{{ x }}";
    let world = World::with(&[("page.html", page)]);
    assert_eq!(world.render("page.html", context! {}), "21");
    assert_eq!(world.render("page.html", context! {}), "21");
}

#[test]
fn whitespace_is_controlled_as_for_every_tag() {
    let cases = [
        ("a  {%- cache 1, 'x' -%}  b  {%- endcache -%}  c", "abc"),
        (
            "a  {%+ cache 1, 'x' +%}  b  {%+ endcache +%}  c",
            "a    b    c",
        ),
        (
            "a\n  {% cache 1, 'x' %}\n  b\n  {% endcache %}\nc",
            "a\n  \n  b\n  \nc",
        ),
    ];
    let trimmed = "a\n  b\nc";
    for (source, expected) in cases {
        let world = World::with(&[("page.html", source)]);
        for _ in 0..2 {
            assert_eq!(world.render("page.html", context! {}), expected, "{source}");
        }
    }
    let mut env = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    env.set_syntax(syntax.unwrap());
    World::with(&[])
        .fragments
        .set_loader(&mut env, move |_| Ok(Some(cases[2].0)));
    assert_eq!(
        env.get_template("page.html").unwrap().render(()).unwrap(),
        trimmed
    );
}

#[test]
fn texts_comments_and_raw_blocks_are_no_tags() {
    let world = World::with(&[(
        "page.html",
        "{% cache 60, 'x', '%} {% endcache %}' %}{{ '{% endcache %}' }}{# {% endcache %} #}\
         {% raw %}{% cache 60 %}{% endraw %}{% set y = {'a': {'b': 1}} %}{{ y.a.b }}{{ count() }}{% endcache %}",
    )]);
    for _ in 0..2 {
        assert_eq!(
            world.render("page.html", context! {}),
            "{% endcache %}{% cache 60 %}11"
        );
    }
}

#[test]
fn delimiters_may_be_others() {
    let mut env = Environment::new();
    let syntax = SyntaxConfig::builder()
        .block_delimiters("\\BLOCK{", "}")
        .variable_delimiters("\\VAR{", "}")
        .comment_delimiters("\\#{", "}")
        .line_statement_prefix("%%")
        .line_comment_prefix("%#")
        .build();
    env.set_syntax(syntax.unwrap());
    let world = World::with(&[]);
    world.fragments.set_loader(&mut env, |_| {
        Ok(Some(
            "%# \\BLOCK{endcache}\n%% for x in [1, 1]\n\\BLOCK{cache 60, 'x', {'a': x}, tags=['t']}\\VAR{x}\
             {% cache %}\\#{endcache }\\BLOCK{endcache}\n%% endfor\n",
        ))
    });
    let page = env.get_template("page.html").unwrap();
    for _ in 0..2 {
        assert_eq!(page.render(()).unwrap(), "1{% cache %}\n1{% cache %}\n");
    }
    assert_eq!(world.told.count("stored"), 1);
}

#[test]
fn a_template_may_be_extended_by_a_line_statement() {
    let mut env = Environment::new();
    let syntax = SyntaxConfig::builder().line_statement_prefix("%%").build();
    env.set_syntax(syntax.unwrap());
    World::with(&[]).fragments.set_loader(&mut env, |name| {
        Ok(Some(match name {
            "base.html" => "{% cache 60, 'x' %}[{% block b %}{% endblock %}]{% endcache %}",
            "a.html" => "%% extends 'base.html'\n{% block b %}a{% endblock %}",
            _ => "  %% extends ('base' ~\n '.html')\n{% block b %}b{% endblock %}",
        }))
    });
    for _ in 0..2 {
        for (name, expected) in [("a.html", "[a]"), ("b.html", "[b]")] {
            assert_eq!(
                env.get_template(name).unwrap().render(()).unwrap(),
                expected
            );
        }
    }
}

#[test]
fn a_template_that_was_rewritten_by_hand_may_be_added() {
    let mut world = World::with(&[]);
    let page = "{% cache 60, 'x' %}{{ count() }}{% endcache %}";
    let add = |world: &mut World, page: &str| {
        let source = rewrite("page.html", page, world.env.syntax()).unwrap();
        world.env.add_template_owned("page.html", source).unwrap();
    };
    add(&mut world, page);
    assert_eq!(world.render("page.html", context! {}), "1");
    assert_eq!(world.render("page.html", context! {}), "1");
    add(&mut world, &format!("{page}!"));
    assert_eq!(world.render("page.html", context! {}), "2!");
    add(&mut world, page);
    assert_eq!(world.render("page.html", context! {}), "1");
}

#[test]
fn errors_have_the_lines_of_the_template_as_it_was_written() {
    let world = World::with(&[
        (
            "inside.html",
            "\n{% cache 60,\n  'x' %}\n\n{{ fail() }}{% endcache %}",
        ),
        (
            "behind.html",
            "\n{% cache\n 60, 'x' %}x{% endcache %}{% cache 60, 'y' %}\n{% endcache %}\n{{ fail() }}",
        ),
        (
            "syntax.html",
            "{% cache 60, 'x' %}\n{% endcache %}\n{{ 1 + }}",
        ),
    ]);
    for (name, line) in [("inside.html", 5), ("behind.html", 5), ("syntax.html", 3)] {
        let error = world.try_render(name, context! {}).unwrap_err();
        assert_eq!(
            (error.name(), error.line()),
            (Some(name), Some(line)),
            "{error}"
        );
    }
}

#[test]
fn tags_in_wrong_places_are_errors_when_the_template_is_loaded() {
    let cases = [
        (
            "\n{% cache 60, 'x' %}",
            "cache tag without an endcache behind it (in page.html:2)",
        ),
        (
            "{% endcache %}",
            "endcache without a cache tag before it (in page.html:1)",
        ),
        ("{% cache %}{% endcache %}", "cache tag without arguments"),
        (
            "{% if x %}{% cache 60 %}\n{% endif %}{% endcache %}",
            "endif within the cache block of line 1, whose own block is outside",
        ),
        (
            "{% if x %}{% cache 60 %}{% else %}{% endcache %}{% endif %}",
            "else within the cache block",
        ),
        (
            "{% cache 60 %}\n{% if x %}{% endcache %}{% endif %}",
            "endcache within the if block of line 2",
        ),
        (
            "{% cache 60 %}{% set x %}{% endcache %}{% endset %}",
            "endcache within the set block",
        ),
        (
            "{% for x in y %}{% cache 60 %}{% if x %}\n{% continue %}{% endif %}{% endcache %}{% endfor %}",
            "continue would leave the cache block of line 1",
        ),
    ];
    for (source, wrong) in cases {
        let world = World::with(&[("page.html", source)]);
        let error = world
            .try_render("page.html", context! {})
            .unwrap_err()
            .to_string();
        assert!(error.contains(wrong), "{source}: {error}");
    }
    let mut env = Environment::new();
    let syntax = SyntaxConfig::builder().line_statement_prefix("#").build();
    env.set_syntax(syntax.unwrap());
    let fragments = World::with(&[]).fragments;
    fragments.set_loader(&mut env, |_| Ok(Some("# cache 60, 'x'\n# endcache\n")));
    let error = env.get_template("page.html").unwrap_err().to_string();
    assert!(error.contains("cannot be a line statement"), "{error}");
}

#[test]
fn loops_within_a_fragment_may_be_left() {
    let page = "{% cache 60, 'x' %}{% for n in range(9) %}{% if n == 2 %}{% continue %}{% endif %}\
                {% if n == 4 %}{% break %}{% endif %}{{ n }}{% endfor %}{{ count() }}{% endcache %}";
    let world = World::with(&[("page.html", page)]);
    for _ in 0..2 {
        assert_eq!(world.render("page.html", context! {}), "0131");
    }
}

#[test]
fn mistakes_of_the_template_are_left_to_the_template_engine() {
    let broken = [
        ("{% cache 60, 'x' %}{{ 'open }}", "unexpected end of string"),
        ("{% cache 60, 'x' %}{# open", "unexpected end of comment"),
        (
            "{% cache 60, 'x' %}{% raw %}",
            "unexpected end of raw block",
        ),
        ("{% cache 60 'x' %}{% endcache %}", "expected `,`"),
        (
            "{% cache 60, 'x' %}{% endcache x %}",
            "expected end of block",
        ),
    ];
    for (source, wrong) in broken {
        let world = World::with(&[("page.html", source)]);
        let error = world
            .try_render("page.html", context! {})
            .unwrap_err()
            .to_string();
        assert!(error.contains(wrong), "{source}: {error}");
    }
}

#[test]
fn a_fragment_without_a_name_is_named_by_its_place() {
    let world = World::with(&[("page.html", "\n{% cache 60 %}{{ count() }}{% endcache %}")]);
    assert_eq!(world.render("page.html", context! {}), "\n1");
    assert!(world.fragments.remove("page.html:2").unwrap());
    assert_eq!(world.render("page.html", context! {}), "\n2");
}
