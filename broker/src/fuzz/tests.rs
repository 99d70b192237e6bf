use std::{
    collections::BTreeSet,
    fs,
    panic::{catch_unwind, resume_unwind},
    path::{Path, PathBuf},
};

use rand::{SeedableRng, rngs::StdRng};

use super::{TARGETS, Target, mutate::mutate};

/// Changed inputs for each target: together they take a few seconds, most of them for YAML.
const INPUTS: usize = 1_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The inputs that are kept for a target, in an order that is the same everywhere.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = folder().join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files: BTreeSet<_> = files.map(|file| file.unwrap().path()).collect();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Where an input is while it is run: one that overflows the stack ends the process before anybody can tell.
fn last_input(target: &Target) -> PathBuf {
    std::env::temp_dir().join(format!("switchboard-fuzz-{}-{}", target.name, std::process::id()))
}

fn run(target: &Target, input: &[u8]) {
    fs::write(last_input(target), input).unwrap();
    if let Err(panic) = catch_unwind(|| (target.run)(input)) {
        eprintln!("the input for {}: b\"{}\"", target.name, input.escape_ascii());
        resume_unwind(panic);
    }
}

/// Runs a target on what is kept for it, and on changes of that: the same ones each time.
fn holds(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target of this name");
    let corpus = corpus(name);
    assert!(corpus.len() > 1, "corpus/{name} has good inputs to change");
    for input in &corpus {
        run(target, input);
    }
    let mut random = StdRng::seed_from_u64(corpus.len() as u64);
    for _ in 0..INPUTS {
        run(target, &mutate(&corpus, &mut random));
    }
    fs::remove_file(last_input(target)).unwrap();
}

macro_rules! targets {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                holds($name);
            }
        )*

        #[test]
        fn every_target_has_its_test_and_its_inputs() {
            let tested = BTreeSet::from([$($name),*]);
            let there: BTreeSet<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(tested, there);
            let folders = fs::read_dir(folder()).unwrap().map(|folder| folder.unwrap().file_name());
            let folders: BTreeSet<_> = folders.map(|name| name.into_string().unwrap()).collect();
            assert_eq!(folders, there.iter().map(|name| name.to_string()).collect());
        }
    };
}

targets! {
    any_commands_are_read_or_refused: "commands",
    any_lines_are_joined_to_datagrams: "datagrams",
    any_message_of_a_board_is_read_or_refused: "boards",
    any_body_of_engine_io_is_read_or_refused: "engineio",
    any_packet_of_socket_io_is_read_or_refused: "socketio",
    anything_that_emitters_say_is_read_or_refused: "emitter",
    any_messages_of_a_websocket_are_read_or_refused: "messages",
    any_frames_are_read_or_refused: "websocket",
    any_lines_are_read_or_refused: "lines",
    any_proxy_header_is_read_or_refused: "proxy",
    any_request_for_a_stream_is_read_or_refused: "streams",
    any_body_of_the_server_api_is_read_or_refused: "api",
    any_packet_is_read_or_refused: "packets",
    anything_that_redis_says_is_read_or_refused: "resp",
    any_token_is_read_or_refused: "tokens",
    any_document_of_keys_is_read_or_refused: "keys",
    any_answer_of_a_webhook_is_read_or_refused: "webhook",
    any_configuration_is_read_or_refused: "config",
}
