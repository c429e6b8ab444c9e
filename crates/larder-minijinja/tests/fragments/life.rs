//! How long fragments live, and what ends them.

use std::time::Duration;

use larder_core::Policy;
use minijinja::context;

use crate::world::{World, in_time};

#[test]
fn timeouts_are_seconds_texts_or_those_of_the_policy() {
    let kept = |timeout: &str, seconds: u64| {
        let page = format!("{{% cache {timeout}, 'x' %}}{{{{ count() }}}}{{% endcache %}}");
        let world = World::with(&[("page.html", &page)]);
        assert_eq!(world.render("page.html", context! {}), "1");
        world.pass(seconds);
        world.render("page.html", context! {}) == "1"
    };
    for (timeout, seconds) in [
        ("5", 5),
        ("2.5", 2),
        ("'90'", 90),
        ("'5m'", 300),
        ("'1h 30m'", 5400),
    ] {
        assert!(kept(timeout, seconds - 1), "{timeout}");
        assert!(!kept(timeout, seconds + 1), "{timeout}");
    }
    assert!(kept("none", 59) && !kept("none", 60));
    assert!(kept("0", 1_000_000_000));
    assert!(!kept("-1", 0));
}

#[test]
fn purges_reach_fragments_by_name_by_tag_and_all_at_once() {
    let page = "{% cache 60, 'x', id, tags=['product:' ~ id] %}{{ count() }}{% endcache %}";
    let world = World::with(&[("page.html", page)]);
    let render = |id| world.render("page.html", context! { id });
    assert_eq!((render(7), render(8)), ("1".into(), "2".into()));
    world.fragments.bump(["product:7"]).unwrap();
    assert_eq!((render(7), render(8)), ("3".into(), "2".into()));
    assert!(world.fragments.remove("x").unwrap());
    assert!(!world.fragments.remove("x").unwrap());
    assert_eq!((render(7), render(8)), ("4".into(), "5".into()));
    world.fragments.clear().unwrap();
    assert_eq!((render(7), render(8)), ("6".into(), "7".into()));
}

#[test]
fn a_purge_during_a_render_keeps_its_text_out() {
    let mut world = World::with(&[(
        "page.html",
        "{% cache 60, 'x', tags=['t'] %}{{ purge() }}{{ count() }}{% endcache %}",
    )]);
    let fragments = world.fragments.clone();
    world.env.add_function("purge", move || {
        fragments.bump(["t"]).unwrap();
        ""
    });
    assert_eq!(world.render("page.html", context! {}), "1");
    assert_eq!(world.render("page.html", context! {}), "2");
    assert_eq!(world.told.count("fenced"), 2);
}

#[test]
fn del_removes_what_is_stored_and_stores_nothing() {
    let page = "{% cache how, 'x' %}{{ count() }}{% endcache %}";
    let world = World::with(&[("page.html", page)]);
    let render = |how: &str| world.render("page.html", context! { how });
    let texts = [render("5m"), render("del"), render("5m"), render("5m")];
    assert_eq!(texts, ["1", "2", "3", "3"]);
}

#[test]
fn the_outer_fragment_carries_the_tags_of_those_within_and_ends_with_the_first() {
    let page = "{% cache 600, 'outer' %}{{ count() }}{% for x in [7, 8] %}{% cache 100 * x, 'inner', x, \
                tags=['t' ~ x] %}/{{ count() }}{% endcache %}{% endfor %}{% endcache %}";
    let world = World::with(&[("page.html", page)]);
    let render = || world.render("page.html", context! {});
    assert_eq!((render(), render()), ("1/2/3".into(), "1/2/3".into()));
    world.fragments.bump(["t8"]).unwrap();
    // A hit within counts as much as a fragment that was rendered.
    assert_eq!((render(), render()), ("4/2/5".into(), "4/2/5".into()));
    world.fragments.bump(["t7"]).unwrap();
    assert_eq!((render(), render()), ("6/7/5".into(), "6/7/5".into()));
    // The outer one lives for 600 s, the inner ones for 700 and 800.
    world.pass(600);
    assert_eq!((render(), render()), ("8/7/5".into(), "8/7/5".into()));
    // Of them 100 and 200 s are left: the outer one has 100 as well.
    world.pass(99);
    assert_eq!(render(), "8/7/5");
    world.pass(1);
    assert_eq!(render(), "9/10/5");
    world.pass(100);
    assert_eq!(render(), "11/10/12");
}

#[test]
fn a_fragment_around_one_that_is_not_kept_is_not_kept() {
    let page = "{% cache 600, 'outer' %}{{ count() }}{% cache -1, 'inner' %}/{{ count() }}{% endcache %}{% endcache %}";
    let world = World::with(&[("page.html", page)]);
    assert_eq!(world.render("page.html", context! {}), "1/2");
    assert_eq!(world.render("page.html", context! {}), "3/4");
}

#[test]
fn what_comes_behind_a_fragment_is_not_within_it() {
    let page = "{% cache 600, 'a' %}{{ count() }}{% endcache %}{% cache 600, 'b', tags=['t'] %}{{ count() }}{% endcache %}";
    let world = World::with(&[("page.html", page)]);
    assert_eq!(world.render("page.html", context! {}), "12");
    world.fragments.bump(["t"]).unwrap();
    assert_eq!(world.render("page.html", context! {}), "13");
}

#[test]
fn a_stale_fragment_is_refreshed_by_the_render_that_finds_it() {
    let policy =
        Policy::new(Duration::from_secs(60)).stale_while_revalidate(Duration::from_secs(600));
    let world = World::of(
        policy,
        &[(
            "page.html",
            "{% cache none, 'x' %}{{ count() }}{% endcache %}",
        )],
    );
    assert_eq!(world.render("page.html", context! {}), "1");
    world.pass(61);
    assert_eq!(world.render("page.html", context! {}), "2");
    assert_eq!(world.render("page.html", context! {}), "2");
    assert_eq!(world.told.count("stale-hit"), 1);
}

#[test]
fn a_block_that_fails_is_rendered_once_and_leaves_nothing() {
    let page = "{% cache 60, 'outer' %}{{ count() }}{% cache 60, 'x' %}{{ count() }}{% if fails %}{{ fail() }}{% endif %}\
                {% endcache %}{% endcache %}";
    let world = World::with(&[("page.html", page)]);
    let error = world
        .try_render("page.html", context! { fails => true })
        .unwrap_err();
    assert!(error.to_string().contains("on purpose"), "{error}");
    assert_eq!(
        (
            world.calls(),
            world.told.count("stored"),
            world.told.count("load-failed")
        ),
        (2, 0, 2)
    );
    // Nobody waits for what is over.
    assert_eq!(world.render("page.html", context! {}), "34");
    assert_eq!(world.render("page.html", context! {}), "34");
}

#[test]
fn a_failure_that_somebody_catches_takes_nobody_elses_place() {
    let mut world = World::with(&[(
        "page.html",
        "{% macro bad() %}{% cache 60, 'bad' %}{{ fail() }}{% endcache %}{% endmacro %}\
         {% cache 60, 'outer' %}[{{ attempt(bad) }}]{{ count() }}{% endcache %}",
    )]);
    world.env.add_function(
        "attempt",
        |state: &mut minijinja::State<'_, '_>, what: minijinja::Value| {
            what.call(state, &[]).unwrap_or_else(|_| "caught".into())
        },
    );
    for _ in 0..2 {
        assert_eq!(world.render("page.html", context! {}), "[caught]1");
    }
    assert!(!world.fragments.remove("bad").unwrap());
    assert!(world.fragments.remove("outer").unwrap());
}

#[test]
fn with_a_stale_text_an_error_is_for_the_render_that_has_it_alone() {
    let policy = Policy::new(Duration::from_secs(60)).stale_if_error(Duration::from_secs(600));
    let page =
        "{% cache none, 'x' %}{{ count() }}{% if fails %}{{ fail() }}{% endif %}{% endcache %}";
    let world = World::of(policy, &[("page.html", page)]);
    assert_eq!(world.render("page.html", context! {}), "1");
    world.pass(61);
    assert!(
        world
            .try_render("page.html", context! { fails => true })
            .is_err()
    );
    // For the throttle, nobody tries again.
    assert_eq!(world.render("page.html", context! { fails => true }), "1");
    world.pass(31);
    assert_eq!(world.render("page.html", context! {}), "3");
}

#[test]
fn a_fragment_within_itself_is_rendered_in_place() {
    in_time(|| {
        let world = World::with(&[(
            "tree.html",
            "{% cache 60, 'node' %}{{ count() }}{% if depth %}({% with depth = depth - 1 %}\
                       {% include 'tree.html' %}{% endwith %}){% endif %}{% endcache %}",
        )]);
        assert_eq!(
            world.render("tree.html", context! { depth => 2 }),
            "1(2(3))"
        );
        assert_eq!(world.told.count("stored"), 1);
        assert_eq!(
            world.render("tree.html", context! { depth => 2 }),
            "1(2(3))"
        );
    });
}

#[test]
fn a_fragment_that_renders_itself_by_another_render_does_not_wait_for_itself() {
    in_time(|| {
        let mut world = World::with(&[(
            "page.html",
            "{% cache 60, 'x' %}{{ count() }}{% if again %}{{ render() }}{% endif %}{% endcache %}",
        )]);
        world
            .env
            .add_function("render", |state: &minijinja::State<'_, '_>| {
                let page = state.env().get_template("page.html").unwrap();
                page.render(context! { again => false }).unwrap()
            });
        assert_eq!(world.render("page.html", context! { again => true }), "12");
        assert_eq!(world.render("page.html", context! {}), "12");
    });
}
