//! The list of attacks, with the test of each.

use std::fs;
use std::path::Path;

/// An attack, with the file and the name of its test.
const ROWS: [(&str, &str, &str); 58] = [
    ("CL.TE, TE.CL", "tests/attack/framing.rs", "a_body_with_two_framings_is_refused"),
    ("TE.TE, obfuscated TE", "tests/attack/framing.rs", "codings_in_disguise_are_refused"),
    (
        "duplicate, signed, hexadecimal, empty lengths",
        "tests/attack/framing.rs",
        "lengths_that_are_none_or_two_are_refused",
    ),
    (
        "chunk size overflow, extensions, trailers",
        "tests/attack/framing.rs",
        "chunks_that_parsers_disagree_on_are_refused",
    ),
    (
        "chunk extensions and trailers without end",
        "src/wire/tests/framing.rs",
        "extensions_and_trailers_are_bounded",
    ),
    (
        "a last CRLF split over packets (async-h1)",
        "src/wire/tests/framing.rs",
        "chunks_are_put_together_wherever_packets_are_cut",
    ),
    (
        "a body cut short taken as complete (async-h1)",
        "tests/attack/misuse.rs",
        "a_body_shorter_than_declared_stores_nothing_and_a_longer_one_is_no_request",
    ),
    (
        "pipelined requests lost (async-h1)",
        "tests/attack/misuse.rs",
        "pipelined_requests_are_answered_once_each_and_in_order",
    ),
    (
        "gzip, chunked read as no body (async-h1)",
        "tests/attack/framing.rs",
        "codings_in_disguise_are_refused",
    ),
    (
        "two differing lengths (async-h1)",
        "tests/attack/framing.rs",
        "lengths_that_are_none_or_two_are_refused",
    ),
    (
        "a bad request closed without a 4xx (async-h1)",
        "tests/attack/misuse.rs",
        "other_protocols_on_the_port_are_refused",
    ),
    (
        "bare LF, bare CR, NUL, obs-fold, space before the colon",
        "tests/attack/framing.rs",
        "lines_that_parsers_end_differently_are_refused",
    ),
    (
        "absolute, authority and asterisk form",
        "tests/attack/framing.rs",
        "targets_that_name_something_else_to_a_proxy_are_refused",
    ),
    (
        "all of these at random, cut anywhere",
        "src/wire/tests/differential/mod.rs",
        "pulk_and_hyper_take_the_same_requests_out_of_any_stream",
    ),
    (
        "smuggling known from other servers",
        "src/wire/tests/differential/mod.rs",
        "what_is_known_to_smuggle_is_taken_alike_or_refused_for_a_listed_reason",
    ),
    (
        "a body that is not read",
        "src/wire/tests/requests.rs",
        "a_body_that_is_not_read_does_not_become_the_next_request",
    ),
    (
        "response splitting through names and queries",
        "tests/attack/splitting.rs",
        "names_and_queries_cannot_split_an_answer",
    ),
    (
        "response splitting through request ids",
        "tests/attack/splitting.rs",
        "ids_of_requests_cannot_split_an_answer",
    ),
    (
        "response splitting through manifests",
        "tests/attack/splitting.rs",
        "artifact_types_cannot_split_an_answer",
    ),
    (
        "response splitting, whatever the source",
        "src/wire/tests/answers.rs",
        "a_header_with_a_line_end_is_not_sent",
    ),
    ("slow head", "tests/attack/slow.rs", "a_slow_head_is_answered_408_however_it_trickles"),
    (
        "slow body",
        "tests/attack/slow.rs",
        "a_body_that_stalls_is_answered_408_and_the_upload_keeps_its_offset",
    ),
    (
        "a slow line, which must work",
        "tests/attack/slow.rs",
        "a_slow_body_that_moves_is_accepted_however_long_it_takes",
    ),
    ("slow reader", "tests/attack/slow.rs", "a_client_that_stops_reading_costs_little_and_is_cut_off"),
    (
        "slow reader of an answer in memory",
        "src/wire/tests/files.rs",
        "an_answer_from_memory_is_given_up_after_a_while_and_one_from_a_file_is_not",
    ),
    ("idle connections", "tests/attack/slow.rs", "an_idle_connection_is_closed_without_an_answer"),
    (
        "thousands of idle connections",
        "tests/attack/crowds.rs",
        "thousands_of_idle_connections_cost_little_and_keep_no_client_out",
    ),
    (
        "connections without end",
        "tests/attack/crowds.rs",
        "connections_over_the_limit_are_refused_with_the_reason_and_accepted_when_others_end",
    ),
    (
        "connections of one address",
        "src/wire/tests/admission.rs",
        "an_address_that_has_less_gets_in_at_the_cost_of_the_one_that_has_most",
    ),
    (
        "connections of one address that are all busy",
        "src/wire/tests/admission.rs",
        "a_client_over_the_limit_is_refused_while_all_others_are_busy_and_let_in_later",
    ),
    (
        "many clients behind one address, which must work",
        "tests/attack/crowds.rs",
        "one_address_may_have_all_that_no_other_wants",
    ),
    (
        "silent connections in all places",
        "tests/attack/crowds.rs",
        "silent_connections_in_all_places_keep_no_client_out",
    ),
    (
        "a thousand silent connections",
        "tests/attack/crowds.rs",
        "a_thousand_silent_connections_keep_no_client_out",
    ),
    (
        "silent connections in a stream",
        "tests/attack/crowds.rs",
        "silent_connections_in_a_stream_leave_health_checks_their_answer",
    ),
    (
        "connections of one IPv6 network",
        "src/wire/connection/admission.rs",
        "an_address_that_has_most_and_is_busy_gets_429_and_others_get_503",
    ),
    (
        "connections that take all descriptors",
        "tests/program/serve.rs",
        "a_push_goes_on_while_connections_use_up_all_descriptors_that_they_may",
    ),
    (
        "uploads that trickle in all places",
        "src/wire/tests/admission.rs",
        "uploads_that_trickle_give_way_and_one_that_is_fast_enough_never_does",
    ),
    (
        "upload sessions without end",
        "tests/attack/crowds.rs",
        "upload_sessions_over_the_limit_are_refused_with_the_reason",
    ),
    (
        "tiny uploads in all places",
        "tests/attack/crowds.rs",
        "tiny_uploads_in_all_places_keep_no_client_of_another_address_out",
    ),
    (
        "manifests without end",
        "tests/attack/crowds.rs",
        "a_manifest_over_the_limit_is_refused_before_it_is_read",
    ),
    ("large manifests at once", "tests/attack/crowds.rs", "many_large_manifests_at_once_take_little_memory"),
    (
        "manifests made of annotations",
        "tests/attack/crowds.rs",
        "manifests_made_of_annotations_take_little_memory_and_give_it_back",
    ),
    ("manifests that trickle", "tests/attack/slow.rs", "large_manifests_that_trickle_hold_no_memory"),
    (
        "requests that wait for the disk",
        "tests/attack/slow.rs",
        "pulls_that_wait_for_a_slow_disk_are_not_refused",
    ),
    (
        "slow readers of lists",
        "tests/attack/slow.rs",
        "slow_readers_of_lists_hold_little_memory_and_keep_no_other_from_them",
    ),
    ("huge heads", "tests/attack/misuse.rs", "heads_over_a_limit_are_refused_before_they_end"),
    ("many ranges", "tests/attack/misuse.rs", "many_ranges_are_the_whole_once"),
    (
        "body shorter or longer than declared",
        "tests/attack/misuse.rs",
        "a_body_shorter_than_declared_stores_nothing_and_a_longer_one_is_no_request",
    ),
    (
        "pipelining without reading",
        "tests/attack/misuse.rs",
        "a_client_that_sends_requests_without_reading_takes_no_more_memory",
    ),
    ("misuse of Expect", "tests/attack/misuse.rs", "a_misused_expectation_breaks_nothing"),
    ("HTTP/1.0", "tests/attack/misuse.rs", "http_1_0_has_no_chunks_and_no_kept_connection_unless_asked_for"),
    ("HTTP/2 preface, TLS hello", "tests/attack/misuse.rs", "other_protocols_on_the_port_are_refused"),
    (
        "aborts at every stage",
        "tests/attack/aborts.rs",
        "clients_that_disconnect_at_any_stage_leave_nothing_behind",
    ),
    (
        "aborts of resumable uploads",
        "tests/attack/aborts.rs",
        "an_upload_whose_client_disconnected_can_be_resumed_or_cancelled",
    ),
    ("a stop held up by clients", "src/wire/tests/stopping.rs", "a_stop_waits_for_requests_in_flight_alone"),
    (
        "a client that never pauses",
        "src/wire/tests/requests.rs",
        "a_client_that_never_pauses_leaves_others_their_turn",
    ),
    (
        "100 Continue that is not taken",
        "src/wire/request/body.rs",
        "a_client_that_does_not_read_100_continue_fails_the_body",
    ),
    (
        "a panic in a handler",
        "src/server/tests.rs",
        "a_panic_in_a_handler_is_answered_500_with_the_requests_id_and_harms_no_other_connection",
    ),
];

#[test]
fn each_attack_has_its_test() {
    for (attack, file, name) in ROWS {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        assert!(
            text.contains(&format!("#[test]\nfn {name}() {{"))
                || text.contains(&format!("#[test]\n    fn {name}() {{")),
            "{attack}: no {name} in {file}"
        );
    }
}
