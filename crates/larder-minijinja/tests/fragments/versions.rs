//! An edited template never shows an old fragment.

use std::fs;

use minijinja::{context, path_loader};

use crate::world::World;

#[test]
fn an_edited_template_renders_its_fragments_anew() {
    for (open, close) in [
        ("cache 60, 'x'", "endcache"),
        ("call cache('x')", "endcall"),
    ] {
        let page = |text: &str| format!("{{% {open} %}}{text}{{{{ count() }}}}{{% {close} %}}");
        let world = World::with(&[("page.html", &page("old"))]);
        assert_eq!(world.render("page.html", context! {}), "old1");
        world.sources.set("page.html", &page("new"));
        assert_eq!(world.render("page.html", context! {}), "new2");
        world.sources.set("page.html", &page("old"));
        assert_eq!(world.render("page.html", context! {}), "old1");
    }
}

#[test]
fn what_a_template_names_is_part_of_its_version() {
    let world = World::with(&[
        ("base.html", "{% block b %}base{% endblock %}"),
        (
            "page.html",
            "{% extends 'base.html' %}{% block b %}{% import 'lib.html' as lib %}{% cache 60, 'x' %}{{ count() }} \
             {{ super() }} {% include ['missing.html', 'part.html'] %} {{ lib.m() }}{% endcache %}{% endblock %}",
        ),
        ("lib.html", "{% macro m() %}macro{% endmacro %}"),
        ("part.html", "part {% include 'deep.html' %}"),
        ("deep.html", "deep"),
    ]);
    let render = || world.render("page.html", context! {});
    assert_eq!(
        (render(), render()),
        (
            "1 base part deep macro".into(),
            "1 base part deep macro".into()
        )
    );
    world.sources.set("deep.html", "deeper");
    assert_eq!(
        (render(), render()),
        (
            "2 base part deeper macro".into(),
            "2 base part deeper macro".into()
        )
    );
    world
        .sources
        .set("base.html", "{% block b %}BASE{% endblock %}");
    assert_eq!(
        (render(), render()),
        (
            "3 BASE part deeper macro".into(),
            "3 BASE part deeper macro".into()
        )
    );
    world
        .sources
        .set("lib.html", "{% macro m() %}MACRO{% endmacro %}");
    assert_eq!(
        (render(), render()),
        (
            "4 BASE part deeper MACRO".into(),
            "4 BASE part deeper MACRO".into()
        )
    );
}

#[test]
fn macros_that_a_called_fragment_imports_are_part_of_its_version() {
    let world = World::with(&[
        (
            "page.html",
            "{% from 'lib.html' import m %}{%- call cache('x') %}{{ m() }}{{ count() }}{% endcall %}",
        ),
        ("lib.html", "{% macro m() %}old{% endmacro %}"),
    ]);
    assert_eq!(world.render("page.html", context! {}), "old1");
    world
        .sources
        .set("lib.html", "{% macro m() %}new{% endmacro %}");
    assert_eq!(world.render("page.html", context! {}), "new2");
}

#[test]
fn a_fragment_with_blocks_is_another_for_each_template_that_fills_them() {
    let world = World::with(&[
        (
            "base.html",
            "{% cache 60, 'x' %}<{% block b %}base{% endblock %}{{ count() }}>{% endcache %}",
        ),
        (
            "middle.html",
            "{% extends 'base.html' %}{% block b %}middle{% block c %}{% endblock %}{% endblock %}",
        ),
        (
            "a.html",
            "{% extends 'middle.html' %}{% block c %}a{% endblock %}",
        ),
        (
            "b.html",
            "{% extends 'mid' ~ 'dle.html' %}{% block c %}b{% endblock %}",
        ),
        (
            "by_self.html",
            "{% block t %}base{% endblock %}{% cache 60, 'y' %}{{ self.t() }}{% endcache %}",
        ),
        (
            "c.html",
            "{% extends 'by_self.html' %}{% block t %}c{% endblock %}",
        ),
    ]);
    let render = |name: &str| world.render(name, context! {});
    for _ in 0..2 {
        assert_eq!(render("base.html"), "<base1>");
        assert_eq!(render("middle.html"), "<middle2>");
        assert_eq!(render("a.html"), "<middlea3>");
        assert_eq!(render("b.html"), "<middleb4>");
        assert_eq!(render("by_self.html"), "basebase");
        assert_eq!(render("c.html"), "cc");
    }
    world.sources.set(
        "a.html",
        "{% extends 'middle.html' %}{% block c %}A{% endblock %}",
    );
    assert_eq!(render("a.html"), "<middleA5>");
}

#[test]
fn where_two_templates_of_a_render_fill_the_same_blocks_nothing_is_stored() {
    let world = World::with(&[
        (
            "card.html",
            "{% cache 60, 'card' %}[{% block b %}{% endblock %}]{% endcache %}",
        ),
        (
            "a.html",
            "{% extends 'card.html' %}{% block b %}a{% endblock %}",
        ),
        (
            "b.html",
            "{% extends 'card.html' %}{% block b %}b{% endblock %}",
        ),
        (
            "page.html",
            "{% for x in 'aba' %}{% include x ~ '.html' %}{% endfor %}",
        ),
    ]);
    for _ in 0..2 {
        assert_eq!(world.render("page.html", context! {}), "[a][b][a]");
    }
    // The first one was sure of its own.
    assert_eq!(
        (world.told.count("stored"), world.told.count("refused")),
        (1, 4)
    );
    assert_eq!(world.render("b.html", context! {}), "[b]");
}

#[test]
fn files_are_looked_at_again_when_they_change() {
    let world = World::with(&[]);
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write(
        "page.html",
        "{% cache 60, 'x' %}{% include 'part.html' %}{% endcache %}",
    );
    write("part.html", "old");
    let mut env = world.env.clone();
    world
        .fragments
        .set_loader(&mut env, path_loader(directory.path()));
    let render = || env.get_template("page.html").unwrap().render(()).unwrap();
    assert_eq!((render(), render()), ("old".into(), "old".into()));
    // Another length: the time of the file alone may be the same.
    write("part.html", "newer");
    assert_eq!((render(), render()), ("newer".into(), "newer".into()));
    assert_eq!(world.told.count("hit"), 2);
}

#[test]
fn templates_that_have_no_fragments_come_through_as_they_are() {
    let source =
        "{% include 'x' %} {% call other() %}{% endcall %} {% for x in y %}{% break %}{% endfor %}";
    let world = World::with(&[("page.html", source)]);
    assert_eq!(
        world.env.get_template("page.html").unwrap().source(),
        source
    );
}
