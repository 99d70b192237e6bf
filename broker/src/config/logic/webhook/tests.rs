use super::*;

fn problems(webhook: &Webhook) -> Vec<String> {
    let mut keys = Vec::new();
    webhook.check(Period::from_secs(10), &mut |key, _| keys.push(key.to_owned()));
    keys
}

fn plain() -> Webhook {
    Webhook { secret: Some("a secret".into()), ..Webhook::at("http://127.0.0.1:7000/messages") }
}

#[test]
fn a_url_is_of_http_or_https_and_holds_no_password() {
    for good in ["http://127.0.0.1:7000", "https://game.example/x?y=1", "http://[::1]:80/", "http://game"] {
        assert_eq!(check_url(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "/path",
        "game:7000",
        "ftp://h",
        "http://",
        "http://:80",
        "http://h:0",
        "http://h:99999",
        "http://h x",
    ] {
        assert!(check_url(bad).is_err(), "{bad}");
    }
    let mut said = String::new();
    let webhook = Webhook { url: "http://ann:hunter2@h".into(), ..plain() };
    webhook.check(Period::from_secs(10), &mut |key, message| said.push_str(&format!("{key} {message}")));
    assert!(said.starts_with("url") && !said.contains("hunter2"), "{said}");
}

#[test]
fn what_cannot_work_is_refused_by_its_key() {
    assert_eq!(problems(&plain()), Vec::<String>::new());
    let header = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), Secret::from(value))]);
    let zero = Period::from_secs(0);
    for (webhook, key) in [
        (Webhook { secret: Some("".into()), ..plain() }, "secret"),
        (Webhook { secret_file: Some("/f".into()), ..plain() }, "secret_file"),
        (Webhook { secret: None, secret_file: Some("".into()), ..plain() }, "secret_file"),
        (Webhook { ca_file: Some("/f".into()), ..plain() }, "ca_file"),
        (Webhook { headers: header("a b", "c"), ..plain() }, "headers"),
        (Webhook { headers: header("a", "c\nd"), ..plain() }, "headers"),
        (Webhook { headers: header("Content-Type", "c"), ..plain() }, "headers"),
        (Webhook { headers: header("X-Switchboard-Signature", "c"), ..plain() }, "headers"),
        (Webhook { batch: 0, ..plain() }, "batch"),
        (Webhook { batch: 1001, ..plain() }, "batch"),
        (Webhook { batch: 10, batch_wait: Period::from_secs(10), ..plain() }, "batch_wait"),
        (Webhook { batch_wait: Period::from_millis(5), ..plain() }, "batch_wait"),
        (Webhook { attempt_limit: Some(zero), ..plain() }, "attempt_limit"),
        (Webhook { retry_delay: zero, ..plain() }, "retry_delay"),
        (Webhook { breaker: Breaker { pause: zero, failures: 1 }, ..plain() }, "breaker.pause"),
        (Webhook { breaker: Breaker { failures: 0, ..Breaker::default() }, ..plain() }, "breaker.failures"),
        (Webhook { response_size: Size::from_bytes(0), ..plain() }, "response_size"),
    ] {
        assert_eq!(problems(&webhook), [key], "{webhook:?}");
    }
}

#[test]
fn a_missing_or_short_secret_is_a_warning() {
    assert!(Webhook::at("http://h").warning().unwrap().contains("no secret"));
    assert!(plain().warning().unwrap().contains("8 bytes"));
    let long = Webhook { secret: Some("x".repeat(32).as_str().into()), ..plain() };
    assert_eq!(long.warning(), None);
}

#[test]
fn a_secret_is_read_from_its_file_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, "hunter2\n").unwrap();
    let headers = BTreeMap::from([("authorization".to_owned(), Secret::from("Bearer hunter3"))]);
    let mut webhook = Webhook { secret_file: Some(path.clone()), headers, ..Webhook::at("http://h") };
    let mut problems = Vec::new();
    webhook.resolve("w", &mut problems);
    assert_eq!(webhook.secret.as_ref().map(Secret::expose), Some("hunter2"));
    assert!(problems.is_empty() && webhook.secret_file.is_none());
    let shown = format!("{webhook:?} {}", serde_json::to_string(&webhook).unwrap());
    assert!(!shown.contains("hunter"), "{shown}");
    webhook.secret_file = Some(dir.path().join("none"));
    webhook.resolve("w", &mut problems);
    assert_eq!(problems[0].path, "w.secret_file");
}

#[test]
fn every_key_is_on_the_page_with_its_default() {
    let page = include_str!("../../../../../docs/webhook.md");
    let default = serde_json::to_value(Webhook::at("")).unwrap();
    for (key, value) in default.as_object().unwrap() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value = value.replace('"', "").replace(':', ": ").replace(',', ", ");
        let value = if key == "url" { "required".into() } else { format!("`{value}`") };
        let row = format!("| `{key}` | {value} | ");
        assert!(page.contains(&row), "docs/webhook.md has no row {row:?}");
    }
}
