"""Which test must find which defect, and what it must say."""

from __future__ import annotations

from typing import NamedTuple

from kit.broken import changes, claims, records
from longshore.memory import MemoryDriver


class Defect(NamedTuple):
    """A spoilt driver, a test that must fail for it, and the words by which it fails."""

    driver: type[MemoryDriver]
    test: str
    words: str


DEFECTS = [
    Defect(claims.ClaimsTwice, "test_no_job_is_claimed_by_two[one connection]", "claimed twice"),
    Defect(claims.ExpiresInSilence, "test_a_claim_answers_what_it_expired", "did not say so"),
    Defect(claims.CountsTheExpired, "test_a_claim_answers_what_it_expired", "counted against the limit"),
    Defect(claims.BeginsTheExpired, "test_any_sequence_of_calls_agrees_with_the_memory_driver", "as the memory driver"),
    Defect(claims.BeginsTheExpired, "test_a_job_past_its_deadline_is_not_claimed", "begun past its deadline"),
    Defect(claims.IgnoresPriority, "test_high_priorities_come_first", "ignored the priority"),
    Defect(claims.RunsEarly, "test_a_job_is_claimed_when_it_is_due", "before it was due"),
    Defect(claims.NeverPromotes, "test_a_job_is_claimed_when_it_is_due", "was not found"),
    Defect(claims.StartsChildrenEarly, "test_a_job_can_begin_waiting", "a waiting job was claimed"),
    Defect(claims.IgnoresTasks, "test_a_claim_takes_only_its_tasks", "of a task it did not name"),
    Defect(claims.IgnoresMaxBytes, "test_a_claim_takes_no_more_bytes", "more bytes than it was allowed"),
    Defect(claims.KeepsTheGeneration, "test_every_claim_raises_the_generation", "did not raise the generation"),
    Defect(claims.FreesTooEarly, "test_a_key_until_end_is_held_by_a_run", "a run freed a slot"),
    Defect(claims.LooksAtEverything, "test_a_claim_costs_what_it_takes", "with a backlog"),
    Defect(claims.IgnoresMinPriority, "test_a_claim_takes_only_of_a_priority", "a priority that is too low"),
    Defect(claims.CountsTheEnded, "test_jobs_are_counted_by_holder", "only held jobs"),
    Defect(claims.DeletesTheHeld, "test_held_jobs_are_never_removed", "a held job was removed"),
    Defect(changes.ForgetsTheFence, "test_a_change_is_applied_only_to_its_generation", "of another generation"),
    Defect(changes.ForgetsTheHolder, "test_a_change_is_applied_only_for_its_holder", "another holder ended a run"),
    Defect(changes.ForgetsWhatSettled, "test_a_run_that_settles_twice_is_told_so", "was not remembered"),
    Defect(changes.ForgetsWhatSettled, "test_an_exchange_sent_again_repeats_and_claims_on", "REPEATED"),
    Defect(changes.KeepsTheHolder, "test_a_change_is_applied_only_for_its_holder", "lost its run ended it"),
    Defect(changes.LeaksAUniqueSlot, "test_every_end_frees_the_key", "leaks its unique slot"),
    Defect(changes.CutsAPeriodShort, "test_a_period_outlives_its_job", "cut short by the job's end"),
    Defect(changes.RecursesInNotes, "test_notes_are_merged_per_top_level_key", "per top-level key alone"),
    Defect(changes.SpoilsABatch, "test_a_refused_change_spoils_no_other", "spoilt its batch"),
    Defect(changes.SpoilsAnInsert, "test_a_refused_job_spoils_no_other_of_its_batch", "spoilt its batch"),
    Defect(
        changes.RaisesTheGeneration,
        "test_only_a_claim_and_a_manual_retry_raise_the_generation",
        "a change raised the generation",
    ),
    Defect(changes.KeepsTheResult, "test_a_retry_begins_anew", "keeps the old result"),
    Defect(changes.KeepsEveryAttempt, "test_the_last_attempts_are_kept", "the last 20 attempts"),
    Defect(changes.ForgetsTheChildren, "test_children_that_wait_are_told", "whom it releases"),
    Defect(
        changes.ForgetsTheChildren, "test_any_sequence_of_calls_agrees_with_the_memory_driver", "as the memory driver"
    ),
    Defect(changes.ChangesWhatItHolds, "test_a_slot_of_another_job_is_not_taken", "answered HELD changed something"),
    Defect(changes.ChecksTheKeyFirst, "test_the_id_is_checked_before_the_key", "before the id"),
    Defect(changes.LetsTheKeyIn, "test_a_held_key_keeps_others_out", "two jobs hold one unique key"),
    Defect(changes.GivesTheTurnTwice, "test_the_first_job_of_a_key_has_the_turn", "given to two jobs"),
    Defect(changes.LetsOthersOvertake, "test_nobody_overtakes_those_who_wait", "overtook one that waits"),
    Defect(changes.ReplacesTheStored, "test_a_second_insert_of_an_id_is_answered_repeated", "changed the stored job"),
    Defect(records.RepeatsVersions, "test_versions_only_rise", "a version came twice"),
    Defect(records.IgnoresVersions, "test_a_write_lands_only_on_its_version", "on another version than its own"),
    Defect(records.IgnoresVersions, "test_one_creates_a_record[one connection]", "a record was created twice"),
    Defect(records.ReadsTheExpired, "test_a_record_is_gone_when_its_time_is_over", "outlived its lifetime"),
    Defect(records.PrefixesArePatterns, "test_a_prefix_is_no_pattern", "is no pattern"),
    Defect(records.PagesRepeat, "test_pages_give_every_job_once[Order.OLDEST]", "repeat or skip"),
    Defect(records.PagesSkip, "test_pages_give_every_job_once[Order.NEWEST]", "repeat or skip"),
    Defect(records.RemovesTheNewest, "test_the_oldest_are_removed_first", "not the oldest"),
    Defect(records.ShowsBodies, "test_bodies_are_left_out_when_not_wanted", "nobody wanted"),
    Defect(records.LosesTheWake, "test_a_wake_up_between_claim_and_wait_is_not_lost", "between a claim and the wait"),
    Defect(records.WakesNobody, "test_an_insert_wakes_who_listens_to_its_queue", "woke nobody"),
    Defect(records.SwearsDurability, "test_acknowledged_jobs_survive_a_kill[1]", "acknowledged are lost"),
    Defect(records.SwearsToBeShared, "test_no_job_is_claimed_by_two_processes", "or by none"),
    Defect(
        records.SwearsTransactions,
        "test_what_was_done_in_a_transaction_rolls_back_with_it",
        "outlived the transaction",
    ),
    Defect(records.SwearsTransactions, "test_nobody_sees_an_open_transaction", "was committed before its transaction"),
    Defect(records.TakesAnyTransaction, "test_tx_is_refused_where_there_are_no_transactions", "DID NOT RAISE"),
    Defect(records.SharesItsNamespaces, "test_namespaces_do_not_see_each_other", "is seen in another namespace"),
    Defect(records.TakesAnyOption, "test_an_unknown_option_is_refused", "DID NOT RAISE"),
]
