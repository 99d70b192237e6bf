use proptest::prelude::*;

use super::*;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse("broker.yaml", text, variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

fn error(text: &str, variables: &[(&str, &str)]) -> String {
    load(text, variables).expect_err("this configuration is wrong").to_string()
}

#[test]
fn nothing_at_all_is_the_default() {
    for text in ["", "# only a comment\n", "{}", "auth:\nredis:\n"] {
        assert_eq!(load(text, &[]).unwrap(), Config::default(), "{text:?}");
    }
    Config::default().validate().unwrap();
}

#[test]
fn errors_name_line_column_and_key() {
    for (text, expected) in [
        (
            "auth:\n  anonymus: true\n",
            "broker.yaml:2:3: unknown key \"anonymus\" in auth; did you mean \"anonymous\"?",
        ),
        ("auht: {}\n", "broker.yaml:1:1: unknown key \"auht\"; did you mean \"auth\"?"),
        ("auth:\n  anonymous: yes\n", "broker.yaml:2:14: auth.anonymous: expected true or false, found text"),
        (
            "client: {address: \"0.0.0.0:80000\"}\n",
            "broker.yaml:1:19: client.address: \"80000\" is not a port; write a number from 0 to 65535 (0: any free one)",
        ),
        (
            "channels:\n  namespaces:\n    - name: a\n      publish: anybody\n",
            "broker.yaml:4:16: channels.namespaces[0].publish: \"anybody\" is not known; write one of any, subscribers, nobody",
        ),
        (
            "channels:\n  namespaces:\n    - {name: a}\n    - {subscribe: any}\n",
            "broker.yaml:4:7: the key \"name\" is missing in channels.namespaces[1]",
        ),
        (
            "channels:\n  namespaces:\n    - name: a\n    - name: a\n",
            "broker.yaml:4:13: channels.namespaces[1].name: the namespace \"a\" is given twice; join the two",
        ),
        (
            "drain: {grace: 25}\n",
            "broker.yaml:1:16: drain.grace: expected a duration with its unit, such as 25s or 500ms, found a number",
        ),
        ("drain: {pace: -1}\n", "broker.yaml:1:15: drain.pace: expected a whole number, 0 or more, found -1"),
        ("drain: {pace: 1.5}\n", "broker.yaml:1:15: drain.pace: expected a whole number, found a number"),
        ("drain: {pace: 9999999999}\n", "broker.yaml:1:15: drain.pace: out of range: expected u32"),
        ("auth: [1]\n", "broker.yaml:1:7: auth: expected keys and values, found a list"),
        (
            "auth: {api_keys: }\n",
            "broker.yaml:1:16: auth.api_keys: expected a list such as [a, b], or [] for none, found nothing",
        ),
        ("redis: {prefix: a}\n", "broker.yaml:1:8: the key \"url\" is missing in redis"),
        (
            "redis: {url: \"http://h\"}\n",
            "broker.yaml:1:14: redis.url: \"http\" is not a scheme of Redis; write redis://host:6379/0, or rediss://host:6379/0 for TLS",
        ),
        ("a: 1\na: 2\n", "broker.yaml:2:1: the key \"a\" is written twice; keep one"),
        (
            "auth:\n\tanonymous: true\n",
            "broker.yaml:2:2: not valid YAML: tabs disallowed within this context (block indentation)",
        ),
        ("{}\n---\n{}\n", "broker.yaml:3:1: a second document starts here; keep one and remove the `---`"),
        (
            "client: {address: 0.0.0.0:9000}\n",
            "broker.yaml:1:19: client.address: client and admin both have port 9000; give each its own, such as 8000 and 9000",
        ),
    ] {
        assert_eq!(error(text, &[]), expected);
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let braces = format!("a: {}", "{a: ".repeat(1_000));
    let brackets = "[".repeat(1_000);
    let blocks: String = (0..1_000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    for text in [&braces, &brackets, &blocks] {
        assert!(error(text, &[]).contains("nested deeper than 20"));
        assert!(error("", &[("SWITCHBOARD_AUTH", text)]).contains("nested deeper than 20"));
    }
    let name = format!("SWITCHBOARD_AUTH{}", "__A".repeat(20_000));
    assert!(error("", &[(&name, "1")]).contains("nested deeper than 20"));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = "drain: {pace: 0}\nlog: {level: loud}\ninstance: {id: a b}\n";
    let error = load(text, &[]).unwrap_err();
    let paths: Vec<_> = error.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["instance.id", "drain.pace", "log.level"]);
    assert!(error.problems.iter().all(|problem| problem.place.is_some()));
    assert_eq!(error.to_string().lines().count(), 3);
}

#[test]
fn a_secret_is_in_no_error_and_no_output() {
    for text in [
        "auth: {jwt: {hmac_secret: 4815162342}}",
        "auth: {api_keys: [4815162342]}",
        "auth: {api_keys: {a: 4815162342}}",
        "auth: {api_keys: \"4815162342\"}",
        "auth: {jwt: {hmac_secret: [\"4815162342\"]}}",
        "auth: {jwt: {hmac_secret: \"4815162342\", hmac_secret_file: /f}}",
        "redis: {url: \"redis://:4815162342@h:x\"}",
        "redis: {url: redis://h, password: 4815162342}",
        "auth: {api_keys: [\"48151 62342\"]}",
    ] {
        let error = error(text, &[]);
        assert!(!error.contains("4815"), "{error}");
    }
    let error = error("", &[("SWITCHBOARD_AUTH__API_KEYS", "\"4815162342\"")]);
    assert!(!error.contains("4815"), "{error}");
    let text =
        "auth: {jwt: {hmac_secret: s3cret}, api_keys: [s3cret]}\nredis: {url: \"redis://u:s3cret@h\"}\n";
    let config = load(text, &[]).unwrap();
    assert!(!format!("{config:?} {config:#?}").contains("s3cret"));
    assert!(!serde_json::to_string(&config).unwrap().contains("s3cret"));
}

#[test]
fn numbers_for_text_want_quotes() {
    assert_eq!(
        error("instance: {id: 7}", &[]),
        "broker.yaml:1:16: instance.id: expected text, found a number; put it in quotes"
    );
}

#[test]
fn the_environment_overrides_the_file() {
    let text = "auth: {anonymous: false, api_keys: [a]}\nredis: {url: redis://file}\n";
    let config = load(
        text,
        &[
            ("SWITCHBOARD_AUTH__ANONYMOUS", "true"),
            ("SWITCHBOARD_AUTH__API_KEYS", "[x, y]"),
            ("SWITCHBOARD_AUTH__JWT__HMAC_SECRET", "007"),
            ("SWITCHBOARD_LIMITS__MESSAGE_SIZE", "1024"),
            ("SWITCHBOARD_DRAIN__GRACE", "3s"),
            ("SWITCHBOARD_DRAIN__PACE", "7"),
            ("SWITCHBOARD_LOG__FORMAT", "json"),
            ("SWITCHBOARD_CHANNELS__NAMESPACES", "[{name: news, subscribe: token}]"),
            ("SWITCHBOARD_REDIS__USERNAME", ""),
            ("SWITCHBOARD_REDIS__PREFIX", "sb"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert!(config.auth.anonymous);
    assert_eq!(config.auth.api_keys, ["x".into(), "y".into()]);
    assert_eq!(config.auth.jwt.hmac_secret, Some("007".into()));
    assert_eq!(config.limits.message_size, Size::from_bytes(1024));
    assert_eq!(config.drain, Drain { grace: Period::from_secs(3), pace: 7 });
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(
        config.channels.namespaces,
        [Namespace { subscribe: Subscribe::Token, ..Namespace::named("news") }]
    );
    let redis = config.redis.unwrap();
    assert_eq!((redis.url.expose(), redis.username, redis.prefix.as_str()), ("redis://file", None, "sb"));
}

#[test]
fn a_section_is_yaml_in_one_variable_and_its_keys_come_after_it() {
    let config = load(
        "",
        &[("SWITCHBOARD_REDIS__PREFIX", "p"), ("SWITCHBOARD_REDIS", "{url: redis://h, required: true}")],
    )
    .unwrap();
    let redis = config.redis.unwrap();
    assert_eq!((redis.url.expose(), redis.required, redis.prefix.as_str()), ("redis://h", true, "p"));
}

#[test]
fn aliases_lie_between_the_file_and_our_own_variables() {
    let file = "client: {address: 127.0.0.1:1}\nredis: {url: redis://file}\nlog: {level: warn}\n";
    let aliases = [("REDIS_URL", "redis://alias"), ("WS_PORT", "8100"), ("LOG_LEVEL", "debug")];
    let config = load(file, &aliases).unwrap();
    assert_eq!(config.redis.as_ref().unwrap().url.expose(), "redis://alias");
    assert_eq!(config.client.address, "127.0.0.1:8100".parse().unwrap());
    assert_eq!(config.log.level, "debug");

    let config = load("", &aliases).unwrap();
    assert_eq!(config.client.address, "0.0.0.0:8100".parse().unwrap());

    let mut all = vec![
        ("SWITCHBOARD_REDIS__URL", "redis://own"),
        ("SWITCHBOARD_CLIENT__ADDRESS", "0.0.0.0:8200"),
        ("SWITCHBOARD_LOG__LEVEL", "trace"),
    ];
    all.extend(aliases);
    let config = load(file, &all).unwrap();
    assert_eq!(config.redis.as_ref().unwrap().url.expose(), "redis://own");
    assert_eq!(config.client.address, "0.0.0.0:8200".parse().unwrap());
    assert_eq!(config.log.level, "trace");

    let empty = [("REDIS_URL", ""), ("WS_PORT", "tcp://10.0.0.1:80"), ("LOG_LEVEL", "")];
    assert_eq!(load("", &empty).unwrap(), Config::default());
}

#[test]
fn errors_name_the_variable() {
    for (name, text, expected) in [
        (
            "SWITCHBOARD_AUTH__ANONYMUS",
            "true",
            "SWITCHBOARD_AUTH__ANONYMUS: unknown key \"anonymus\" in auth; did you mean \"anonymous\"?",
        ),
        (
            "SWITCHBOARD_LOG_LEVEL",
            "debug",
            "SWITCHBOARD_LOG_LEVEL: no setting has this name; did you mean SWITCHBOARD_LOG__LEVEL?",
        ),
        (
            "SWITCHBOARD_TELEMETRY",
            "x",
            "SWITCHBOARD_TELEMETRY: no setting has this name; settings are named like SWITCHBOARD_AUTH__ANONYMOUS",
        ),
        (
            "SWITCHBOARD_AUTH__ANONYMOUS",
            "yes",
            "SWITCHBOARD_AUTH__ANONYMOUS: auth.anonymous: expected true or false, found \"yes\"",
        ),
        (
            "SWITCHBOARD_DRAIN__PACE",
            "many",
            "SWITCHBOARD_DRAIN__PACE: drain.pace: expected a whole number, 0 or more, found \"many\"",
        ),
        (
            "SWITCHBOARD_AUTH__API_KEYS",
            "[a",
            "SWITCHBOARD_AUTH__API_KEYS: auth.api_keys: not valid YAML: unclosed bracket '['",
        ),
        (
            "SWITCHBOARD_AUTH__ANONYMOUS__X",
            "1",
            "SWITCHBOARD_AUTH__ANONYMOUS__X: sets the key \"x\" of a setting that has no keys (written at broker.yaml:1:19)",
        ),
        (
            "WS_PORT",
            "http",
            "WS_PORT: \"http\" is not a port; write a number from 0 to 65535 (0: any free one)",
        ),
        (
            "WS_PORT",
            "9000",
            "WS_PORT: client.address: client and admin both have port 9000; give each its own, such as 8000 and 9000",
        ),
        (
            "LOG_LEVEL",
            "warning",
            "LOG_LEVEL: log.level: \"warning\" is not a level; write one of error, warn, info, debug, trace, off, or a list such as info,switchboard=debug",
        ),
        (
            "REDIS_URL",
            "localhost",
            "REDIS_URL: redis.url: \"localhost\" is not a URL; write redis://host:6379/0, or rediss://host:6379/0 for TLS",
        ),
    ] {
        assert_eq!(error("auth: {anonymous: true}", &[(name, text)]), expected);
    }
}

#[test]
fn variables_of_kubernetes_services_are_passed_over() {
    let links = [
        ("SWITCHBOARD_SERVICE_HOST", "10.0.0.1"),
        ("SWITCHBOARD_SERVICE_PORT", "8000"),
        ("SWITCHBOARD_SERVICE_PORT_CLIENTS", "8000"),
        ("SWITCHBOARD_PORT", "tcp://10.0.0.1:8000"),
        ("SWITCHBOARD_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("SWITCHBOARD_OPERATOR_SERVICE_HOST", "10.0.0.2"),
    ];
    assert_eq!(load("", &links).unwrap(), Config::default());
}

#[test]
fn every_setting_can_be_given_by_its_variable() {
    for leaf in leaves() {
        let text = match leaf.path.as_str() {
            "instance.id" => "x",
            "redis.url" => "redis://h",
            "client.tls.cert_file" | "client.tls.key_file" => "x",
            _ => leaf.default.as_str(),
        };
        let name = variable_of(&leaf.path);
        // An optional setting's default is `null` in the file and nothing in a variable.
        let text = if text == "null" { "" } else { text };
        let file = "redis: {url: redis://h}\nclient: {tls: {cert_file: c, key_file: k}}";
        load(file, &[(name.as_str(), text)]).unwrap_or_else(|error| panic!("{name}={text}: {error}"));
    }
}

#[test]
fn a_written_default_reads_back() {
    let mut config = Config { redis: Some(Redis::at("redis://h")), ..Config::default() };
    config.drain.grace = Period::from_millis(1500);
    let text = serde_yaml::to_string(&config).unwrap();
    assert_eq!(load(&text, &[]).unwrap(), config, "{text}");
}

#[test]
fn secrets_are_read_in_their_own_step() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let text = format!(
        "auth: {{jwt: {{hmac_secret_file: {}}}, api_keys: [one], api_key_files: [{}]}}\nredis: {{url: redis://h, password_file: {}}}\n",
        file("jwt", "j\n"),
        file("key", "two\n"),
        file("redis", "pw"),
    );
    let mut config = load(&text, &[]).unwrap();
    config.resolve_secrets().unwrap();
    assert_eq!(config.auth.jwt.hmac_secret, Some("j".into()));
    assert_eq!(config.auth.api_keys, ["one".into(), "two".into()]);
    assert_eq!(config.redis.as_ref().unwrap().password, Some("pw".into()));
    config.validate().unwrap();

    let text = format!("auth: {{api_key_files: [/none, {}]}}", file("bad", "a b\n"));
    let error = load(&text, &[]).unwrap().resolve_secrets().unwrap_err().to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines[0], "auth.api_key_files[0]: cannot read /none: No such file or directory (os error 2)");
    assert!(lines[1].ends_with("it holds white space; one file holds one key"), "{error}");
}

#[test]
fn warns_of_what_is_probably_not_meant() {
    let warnings = |text: &str| load(text, &[]).unwrap().warnings().join("\n");
    let defaults = warnings("");
    assert!(defaults.contains("nobody can connect"), "{defaults}");
    assert!(defaults.contains("server API refuses"), "{defaults}");
    assert_eq!(warnings("auth: {anonymous: true, api_keys: [k]}"), "");
    assert!(warnings("auth: {jwt: {hmac_secret: short}}").contains("has 5 bytes"));
    let token = warnings("auth: {anonymous: true}\nchannels: {namespaces: [{name: a, subscribe: token}]}");
    assert!(token.contains("nobody can subscribe to the namespace \"a\""), "{token}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broker.yaml");
    let error = Config::load(Some(&path), std::iter::empty()).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}: cannot read the file: No such file or directory (os error 2)", path.display())
    );
    std::fs::write(&path, "drain: {pace: 3}\n").unwrap();
    assert_eq!(Config::load(Some(&path), std::iter::empty()).unwrap().drain.pace, 3);
    std::fs::write(&path, "drain: {pace: x}\n").unwrap();
    let error = Config::load(Some(&path), std::iter::empty()).unwrap_err().to_string();
    let place = format!("{}:1:15: drain.pace: ", path.display());
    assert!(error.starts_with(&place), "{error}");
}

proptest! {
    #[test]
    fn no_file_and_no_variable_panics(text: String, yaml in "[a-z:{}\\[\\],&* \n-]{0,60}", name in "[A-Z_]{0,30}", value: String) {
        let _ = load(&text, &[]);
        let _ = load(&yaml, &[(&format!("SWITCHBOARD_{name}"), &value)]);
        for leaf in leaves() {
            let _ = load("", &[(variable_of(&leaf.path).as_str(), value.as_str())]);
        }
    }
}
