//! What tells one fragment from another.

use std::sync::Arc;

use larder_core::{Key, Kind, Reason, ThreadPark, drive};
use minijinja::value::{Object, Value};
use minijinja::{AutoEscape, context};

use crate::world::World;

#[test]
fn fragments_lie_under_their_names() {
    let world = World::with(&[("page.html", "{% cache 60, 'menu', lang %}x{% endcache %}")]);
    for lang in ["de", "en"] {
        world.render("page.html", context! { lang });
    }
    let Ok(entries) = drive(
        world
            .fragments
            .cache()
            .entries(&Key::new(Kind::Fragment, "menu")),
        &ThreadPark,
    );
    let entries = entries.unwrap();
    assert_eq!(entries.len(), 2);
    let shown = entries[0].0.shown_variant();
    assert!(
        shown.starts_with("\"minijinja\", \"") && shown.contains("\"html\", (\""),
        "{shown}"
    );
    assert_eq!(entries[0].1.value.text(), "x");
}

#[test]
fn two_fragments_of_one_name_are_two() {
    let page = "{% cache 60, 'x' %}a{% endcache %}{% cache 60, 'x' %}b{% endcache %}";
    let world = World::with(&[
        ("page.html", page),
        ("other.html", "{% cache 60, 'x' %}c{% endcache %}"),
    ]);
    for _ in 0..2 {
        assert_eq!(world.render("page.html", context! {}), "ab");
        assert_eq!(world.render("other.html", context! {}), "c");
    }
}

#[test]
fn values_that_look_alike_are_kept_apart() {
    let world = World::with(&[(
        "page.html",
        "{% cache 60, 'x', a, b %}{{ count() }}{% endcache %}",
    )]);
    let render = |a: Value, b: Value| world.render("page.html", context! { a, b });
    let mut texts = vec![
        render("a_b".into(), "c".into()),
        render("a".into(), "b_c".into()),
        render(1.into(), ().into()),
        render("1".into(), ().into()),
        render(true.into(), ().into()),
        render(1.0.into(), ().into()),
        render(vec![1].into(), ().into()),
        render(context! { a => 1 }, ().into()),
        render(context! { a => 2 }, ().into()),
    ];
    assert_eq!(render(context! { a => 2 }, ().into()), "9");
    texts.dedup();
    assert_eq!(texts.len(), 9);
}

#[derive(Debug)]
struct Opaque;

impl Object for Opaque {
    fn get_value(self: &Arc<Self>, name: &Value) -> Option<Value> {
        (name.as_str() == Some("id")).then(|| Value::from(7))
    }
}

#[test]
fn what_makes_no_key_is_rendered_each_time_and_the_observer_is_told() {
    let page = "{% cache 60, 'x', user.id %}{{ count() }}{% endcache %}{% cache 60, 'y', user %}{{ count() }}\
                {% endcache %}";
    let world = World::with(&[("page.html", page)]);
    assert_eq!(
        world.render("page.html", context! { user => Value::from_object(Opaque) }),
        "12"
    );
    assert_eq!(
        world.render("page.html", context! { user => Value::from_object(Opaque) }),
        "13"
    );
    world.told.clear();
    // Nobody else's user.id is undefined, too.
    assert_eq!(world.render("page.html", context! { user => 1 }), "45");
    assert_eq!(world.render("page.html", context! { user => 1 }), "65");
    let refused: Vec<_> = world
        .told
        .all()
        .into_iter()
        .filter(|told| told.name == "refused")
        .collect();
    assert_eq!(refused.len(), 2);
    assert_eq!(refused[0].key, Some(Key::new(Kind::Fragment, "x")));
    let why = "value 1 is undefined (x | default(none) makes none of it)";
    assert_eq!(refused[0].reason, Some(Reason::Unkeyable(why.into())));
}

#[test]
fn an_iterator_that_is_a_value_is_not_used_up() {
    let page = "{% cache 60, 'x', all %}{{ all | join('-') }}{% endcache %}";
    let world = World::with(&[("page.html", page)]);
    let all = Value::make_one_shot_iterator([1, 2, 3].into_iter());
    assert_eq!(world.render("page.html", context! { all }), "1-2-3");
}

#[test]
fn what_was_escaped_stays_so_and_the_way_of_escaping_is_part_of_the_key() {
    let page = "{% autoescape mode %}{% cache 60, 'x' %}<i>{{ text }}</i>{% endcache %}{% endautoescape %}\
                {% autoescape mode %}{% call cache('y') %}<b>{{ text }}</b>{% endcall %}{% endautoescape %}";
    let world = World::with(&[("page.txt", page)]);
    let render = |mode: &str| world.render("page.txt", context! { mode, text => "<&>" });
    for _ in 0..2 {
        assert_eq!(render("html"), "<i>&lt;&amp;&gt;</i><b>&lt;&amp;&gt;</b>");
        assert_eq!(render("none"), "<i><&></i><b><&></b>");
        assert_eq!(render("json"), "<i>\"<&>\"</i><b>\"<&>\"</b>");
    }
}

#[test]
fn a_custom_way_of_escaping_works_as_without_the_cache() {
    let mut world = World::with(&[("page.tex", "{% cache 60, 'x' %}{{ text }}{% endcache %}")]);
    world
        .env
        .set_auto_escape_callback(|_| AutoEscape::Custom("tex".into()));
    world.env.set_formatter(|out, _, value| {
        let text = value.to_string();
        let text = if value.is_safe() {
            text
        } else {
            text.replace('&', "\\&")
        };
        Ok(out.write_str(&text)?)
    });
    for _ in 0..2 {
        assert_eq!(
            world.render("page.tex", context! { text => "a & b" }),
            "a \\& b"
        );
    }
    assert_eq!(world.told.count("hit"), 1);
}

#[test]
fn an_empty_text_is_a_hit_too() {
    let world = World::with(&[(
        "page.html",
        "{% cache 60, 'x' %}{% set y = count() %}{% endcache %}",
    )]);
    for _ in 0..2 {
        assert_eq!(world.render("page.html", context! {}), "");
    }
    assert_eq!(world.calls(), 1);
}
