//! `{% call cache(…) %}`: the spelling that needs no rewriting.

use std::sync::Arc;
use std::time::Duration;

use larder_core::Policy;
use minijinja::{Environment, context};

use crate::world::{World, equip};

const PAGE: &str =
    "{% call cache('x', user, ttl='5m', tags=['t']) %}{{ user }}:{{ count() }}{% endcall %}";

#[test]
fn a_called_fragment_is_kept_for_its_own_time_and_until_its_tag_is_bumped() {
    let world = World::with(&[("page.html", PAGE)]);
    let page = |user| world.render("page.html", context! { user });
    assert_eq!(
        (page(7), page(7), page(8)),
        ("7:1".into(), "7:1".into(), "8:2".into())
    );
    world.pass(299);
    assert_eq!(page(7), "7:1");
    world.pass(1);
    assert_eq!(page(7), "7:3");
    world.fragments.bump(["t"]).unwrap();
    assert_eq!((page(7), page(8)), ("7:4".into(), "8:5".into()));
    assert!(world.fragments.remove("x").unwrap());
    assert_eq!(page(7), "7:6");
    world.fragments.clear().unwrap();
    assert_eq!(page(7), "7:7");
}

#[test]
fn it_works_in_templates_that_no_loader_brought() {
    let world = World::with(&[]);
    let (mut env, calls) = (Environment::new(), Arc::default());
    equip(&mut env, &calls);
    world.fragments.install(&mut env);
    env.add_template("page.html", PAGE).unwrap();
    for _ in 0..2 {
        let page = env.get_template("page.html").unwrap();
        assert_eq!(
            page.render(context! { user => "<b>" }).unwrap(),
            "&lt;b&gt;:1"
        );
    }
    // The same name, another template.
    env.add_template("page.html", PAGE.replace("{{ count() }}", "new").leak())
        .unwrap();
    let page = env.get_template("page.html").unwrap();
    assert_eq!(
        page.render(context! { user => "<b>" }).unwrap(),
        "&lt;b&gt;:new"
    );
}

#[test]
fn a_template_that_the_environment_does_not_have_is_rendered_and_not_stored() {
    let world = World::with(&[("page.html", PAGE)]);
    let render = |name, source| {
        let page = world.env.template_from_named_str(name, source);
        page.unwrap().render(context! { user => 7 }).unwrap()
    };
    assert_eq!(world.render("page.html", context! { user => 7 }), "7:1");
    assert_eq!(render("<string>", PAGE), "7:2");
    // The name of one that it has, and another source.
    assert_eq!(
        render(
            "page.html",
            "{% call cache('x', user) %}other{{ count() }}{% endcall %}"
        ),
        "other3"
    );
    assert_eq!(world.told.count("refused"), 2);
    let reasons = world.told.reasons();
    let expected = "unkeyed-input: the source of the template";
    assert!(
        reasons.iter().all(|reason| reason.to_string() == expected),
        "{reasons:?}"
    );
}

#[test]
fn a_block_that_fails_is_rendered_once_and_a_stale_text_stands_in_for_it() {
    let policy = Policy::new(Duration::from_secs(60)).stale_if_error(Duration::from_secs(600));
    let page =
        "{% call cache('x') %}{{ count() }}{% if fails %}{{ fail() }}{% endif %}{% endcall %}";
    let world = World::of(policy, &[("page.html", page)]);
    let error = world
        .try_render("page.html", context! { fails => true })
        .unwrap_err();
    assert!(error.to_string().contains("on purpose"), "{error}");
    assert_eq!((world.calls(), world.told.count("stored")), (1, 0));
    assert_eq!(world.render("page.html", context! {}), "2");
    world.pass(61);
    for _ in 0..2 {
        assert_eq!(world.render("page.html", context! { fails => true }), "2");
    }
    // The second time the throttle held.
    assert_eq!(world.calls(), 3);
    assert_eq!(world.told.count("load-failed-hidden"), 1);
}

#[test]
fn a_call_without_a_name_or_a_block_says_so() {
    for (page, wrong) in [
        ("{% call cache() %}{% endcall %}", "cache() without a name"),
        ("{{ cache('x') }}", "cache() without a block"),
        (
            "{% call cache('x', time=5) %}{% endcall %}",
            "time is no option of a fragment",
        ),
        (
            "{% call cache('x', ttl='5 apples') %}{% endcall %}",
            "ttl='5 apples' is no span of time",
        ),
        (
            "{% call cache('x', ttl=[1]) %}{% endcall %}",
            "ttl=[1] is no span of time",
        ),
        (
            "{% call cache('x', tags='t') %}{% endcall %}",
            "tags='t' are no tags",
        ),
        (
            "{% call cache('x', tags=[1]) %}{% endcall %}",
            "tags=[1] are no tags",
        ),
        (
            "{% call cache(['x']) %}{% endcall %}",
            "the name of a fragment is ['x']",
        ),
        (
            "{% cache 60, 'x', ttl=60 %}{% endcache %}",
            "ttl is there twice",
        ),
    ] {
        let world = World::with(&[("page.html", page)]);
        let error = world.try_render("page.html", context! {}).unwrap_err();
        assert!(error.to_string().contains(wrong), "{page}: {error}");
        assert_eq!(error.line(), Some(1));
    }
}

#[test]
fn both_spellings_stand_in_one_another() {
    let page = "{% cache 60, 'a' %}a{{ count() }}{% call cache('b') %}b{{ count() }}{% cache 60, 'c' %}c{{ count() }}\
                {% endcache %}{% endcall %}{% endcache %}";
    let world = World::with(&[("page.html", page)]);
    for _ in 0..2 {
        assert_eq!(world.render("page.html", context! {}), "a1b2c3");
    }
    world.fragments.remove("a").unwrap();
    assert_eq!(world.render("page.html", context! {}), "a4b2c3");
}
