"""The promises of the safe dialect, on back ends that know nothing of them: the same tests once more."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

# What stands in this module is collected here, and run with the `store` of this module.
TESTS = {
    "test_apps": [
        "test_a_negative_timeout_takes_away_what_was_there",
        "test_counters",
        "test_keys_of_any_text",
        "test_the_proxy_methods",
        "test_timeouts_of_direct_use",
    ],
    "test_fragments": ["page", "test_fragments_are_deleted_by_the_key_that_people_make"],
    "test_functions": [
        "test_deleting_what_functions_answered",
        "test_deleting_what_methods_answered",
        "test_different_arguments_are_different_calls",
    ],
    "test_isolation": [
        "test_answers_that_can_be_changed_are_the_callers_own",
        "test_changing_what_was_stored_changes_nothing",
        "test_large_values_are_served_and_not_stored",
    ],
    "test_lifetimes": [
        "test_applications_and_caches_are_reclaimed",
        "test_functions_are_reclaimed_while_their_cache_goes_on",
    ],
    "test_overlap": ["test_t8_1_what_a_coroutine_loaded_before_a_purge_is_not_stored"],
    "test_purges": [
        "test_t8_1_what_was_loaded_before_a_purge_is_not_stored",
        "test_tags",
        "test_tags_that_are_computed",
        "test_tags_that_are_filled_in",
        "test_who_comes_after_the_purge_does_not_get_the_old_answer",
    ],
    "test_safety": [
        "test_requests_with_credentials_are_left_alone",
        "test_the_classic_accident_does_not_happen",
    ],
    "test_single_flight": [
        "test_an_event_loop_that_waits_for_a_thread_is_not_blocked",
        "test_t1_1_a_hundred_requests_and_one_call",
        "test_t1_1_a_hundred_tasks_of_one_thread_and_one_call",
        "test_t1_1_a_hundred_threads_and_one_call",
        "test_t1_3_an_error_goes_to_all_who_wait",
        "test_t1_6_different_keys_do_not_wait_for_one_another",
        "test_t1_7_answers_that_are_not_stored_do_not_queue",
        "test_t1_8_a_function_may_call_itself",
    ],
    "test_stale": [
        "stage",
        "test_a_refresh_whose_answer_is_filtered_is_not_stored",
        "test_t2_1_fresh_until_the_timeout",
        "test_t2_2_stale_at_once_and_one_refresh",
        "test_t2_3_a_failed_refresh_keeps_the_stale_answer_and_is_throttled",
        "test_t2_4_the_first_success_ends_the_trouble",
        "test_t2_5_too_old_to_be_served_while_it_is_refreshed",
        "test_t2_7_a_default_for_a_first_load_that_fails",
    ],
    "test_views": [
        "products",
        "test_delete_cached_takes_a_view_or_a_path",
        "test_deleting_a_view_removes_every_variant",
        "test_head_and_get",
        "test_none_is_kept_only_if_asked",
        "test_set_of_a_view_serves_every_variant",
        "test_two_cached_functions_of_one_request_do_not_meet",
    ],
}

globals().update(
    {
        name: getattr(import_module(module), name)
        for module, names in TESTS.items()
        for name in names
    }
)


@pytest.fixture(params=["memory of cachelib", "files of cachelib", "the least there is"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The configuration of a back end: each test is run on each."""
    if request.param == "memory of cachelib":
        return {"CACHE_TYPE": "cachelib.SimpleCache"}
    if request.param == "files of cachelib":
        # Without a threshold: files are counted in a file, for which threads would fight.
        return {"CACHE_TYPE": "cachelib.FileSystemCache", "CACHE_ARGS": [str(tmp_path), 0]}
    return {"CACHE_TYPE": "foreign_backends.plain"}
