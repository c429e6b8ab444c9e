//! Many renders of one fragment at the same time.

use std::sync::Arc;
use std::time::Duration;

use larder_core::store::Memory;
use larder_core::{AnyStore, Cache, ErrorKind, Policy, ThreadPark, drive};
use larder_file::Files;
use larder_minijinja::{Fragment, FragmentCodec, Fragments};
use larder_testkit::{Gate, SlowStore};
use minijinja::{Environment, Error, context};

use crate::world::{World, in_time};

const PAGE: &str = "{% cache 60, 'x' %}{{ gate() }}{{ count() }}{% if fails %}{{ fail() }}{% endif %}{% endcache %}";

/// A world whose page waits in its fragment at a gate.
fn gated() -> (World, Gate) {
    let mut world = World::with(&[("page.html", PAGE)]);
    let gate = Gate::closed();
    let here = gate.clone();
    world.env.add_function("gate", move || {
        let Ok(()) = drive(here.pass(), &ThreadPark);
        ""
    });
    (world, gate)
}

#[test]
fn threads_that_render_a_cold_fragment_render_it_once() {
    let (world, gate) = gated();
    std::thread::scope(|scope| {
        let page = || world.render("page.html", context! {});
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(page)).collect();
        gate.await_waiting(1);
        world.clock.await_alarms(7);
        gate.reopen();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), "1");
        }
    });
    assert_eq!((world.calls(), world.told.count("collapsed")), (1, 7));
}

#[test]
fn those_who_waited_for_a_block_that_failed_do_not_render_it_again() {
    let (world, gate) = gated();
    std::thread::scope(|scope| {
        let page = || world.try_render("page.html", context! { fails => true });
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(page)).collect();
        gate.await_waiting(1);
        world.clock.await_alarms(3);
        gate.reopen();
        let errors = threads
            .into_iter()
            .map(|thread| thread.join().unwrap().unwrap_err().to_string());
        let errors: Vec<String> = errors.collect();
        let own = errors
            .iter()
            .filter(|error| error.contains("on purpose"))
            .count();
        let of_others = |error: &&String| {
            error.contains("the fragment \"x\" failed in another render, for which this one waited")
        };
        assert_eq!(
            (own, errors.iter().filter(of_others).count()),
            (1, 3),
            "{errors:?}"
        );
    });
    assert_eq!(world.calls(), 1);
}

#[test]
fn a_render_that_panics_lets_the_next_one_render() {
    let (mut world, gate) = gated();
    gate.reopen();
    world
        .env
        .add_function("gate", || -> &str { panic!("on purpose") });
    let page = || world.render("page.html", context! {});
    std::thread::scope(|scope| assert!(scope.spawn(page).join().is_err()));
    world.env.add_function("gate", || "");
    assert_eq!(world.render("page.html", context! {}), "1");
}

#[test]
fn a_refresh_leaves_the_stale_text_to_the_others() {
    let policy =
        Policy::new(Duration::from_secs(60)).stale_while_revalidate(Duration::from_secs(600));
    let (world, gate) = gated();
    let fragments = Fragments::new(world.fragments.cache().clone(), policy).unwrap();
    let mut env = world.env.clone();
    fragments.install(&mut env);
    gate.reopen();
    let page = || env.get_template("page.html").unwrap().render(()).unwrap();
    assert_eq!(page(), "1");
    world.pass(61);
    gate.close();
    std::thread::scope(|scope| {
        let refresh = scope.spawn(page);
        gate.await_waiting(1);
        assert_eq!(page(), "1");
        gate.reopen();
        assert_eq!(refresh.join().unwrap(), "2");
    });
    assert_eq!(page(), "2");
}

#[test]
fn the_timeouts_of_a_policy_are_for_those_who_wait_for_another_render() {
    let policy = Policy::new(Duration::from_secs(60))
        .stale_while_revalidate(Duration::from_secs(600))
        .soft_timeout(Duration::from_secs(1))
        .hard_timeout(Duration::from_secs(2));
    let (world, gate) = gated();
    let fragments = Fragments::new(world.fragments.cache().clone(), policy).unwrap();
    let mut env = world.env.clone();
    fragments.install(&mut env);
    let page = || env.get_template("page.html").unwrap().render(());
    // One who renders takes its time, and one who waits does not.
    let two = |patience: u64| {
        gate.close();
        std::thread::scope(|scope| {
            let first = scope.spawn(page);
            gate.await_waiting(1);
            let second = scope.spawn(page);
            world.clock.await_alarms(1);
            world.pass(patience);
            let second = second.join();
            gate.reopen();
            (first.join().unwrap().unwrap(), second.unwrap())
        })
    };
    let (first, second) = two(2);
    let error = second.unwrap_err().to_string();
    assert!(error.contains("its hard timeout of 2s"), "{error}");
    assert_eq!(first, "1");
    world.pass(61);
    let (refreshed, stale) = two(1);
    assert_eq!((refreshed.as_str(), stale.unwrap().as_str()), ("2", "1"));
}

#[test]
fn a_task_that_waits_lets_the_others_of_its_thread_run() {
    in_time(|| {
        let (world, gate) = gated();
        let world = Arc::new(world);
        let page = || {
            let world = Arc::clone(&world);
            move || world.render("page.html", context! {})
        };
        let leader = std::thread::spawn(page());
        gate.await_waiting(1);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        // The only worker waits in the first task, and runs the second all the same.
        let waiting = page();
        let waiting = runtime.spawn(async move { waiting() });
        world.clock.await_alarms(1);
        runtime.spawn(async move { gate.reopen() });
        assert_eq!(runtime.block_on(waiting).unwrap(), "1");
        assert_eq!(leader.join().unwrap(), "1");
    });
}

#[test]
fn the_only_thread_of_a_runtime_waits_for_nobody() {
    in_time(|| {
        let (world, gate) = gated();
        let mut env = world.env.clone();
        env.add_function("gate", || "");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        std::thread::scope(|scope| {
            let leader = scope.spawn(|| world.render("page.html", context! {}));
            gate.await_waiting(1);
            let page = env.get_template("page.html").unwrap();
            assert_eq!(runtime.block_on(async { page.render(()).unwrap() }), "1");
            gate.reopen();
            assert_eq!(leader.join().unwrap(), "2");
        });
        assert_eq!(world.told.count("gave-up"), 1);
    });
}

#[test]
fn a_store_that_waits_as_tasks_do_is_turned_down() {
    let memory = Memory::builder().build::<Fragment>().unwrap();
    let cache = Cache::builder(AnyStore::new(SlowStore::new(memory))).build();
    let error = Fragments::new(cache, Policy::new(Duration::from_secs(60))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error
            .to_string()
            .contains("waits as a task, and a template cannot (build it for"),
        "{error}"
    );
}

/// Renders a page by a cache over this directory, as a process of its own would.
fn render_over(directory: &std::path::Path, text: &'static str) -> Result<String, Error> {
    let files = Files::builder(directory).build(FragmentCodec).unwrap();
    let cache: Cache<Fragment> = Cache::new(AnyStore::new(files));
    let fragments = Fragments::new(cache, Policy::new(Duration::from_secs(60))).unwrap();
    let mut env = Environment::new();
    env.add_function("text", move || text);
    fragments.set_loader(&mut env, |_| {
        Ok(Some("{% cache 60, 'x', [1, none] %}{{ text() }}{% endcache %}{% call cache('y') %}{{ text() }}{% endcall %}"))
    });
    env.get_template("page.html")?.render(())
}

#[test]
fn fragments_outside_the_process_are_those_of_all_who_have_the_template() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (
        render_over(directory.path(), "<1>"),
        render_over(directory.path(), "2"),
    );
    assert_eq!(first.unwrap(), "&lt;1&gt;&lt;1&gt;");
    assert_eq!(second.unwrap(), "&lt;1&gt;&lt;1&gt;");
    let shared = directory.path().to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let third =
        runtime.block_on(async { tokio::spawn(async move { render_over(&shared, "3") }).await });
    assert_eq!(third.unwrap().unwrap(), "&lt;1&gt;&lt;1&gt;");
}
