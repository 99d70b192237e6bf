//! How the program ends.

use rustix::process::Signal;

use crate::support::{
    Client,
    program::{Program, run},
    request,
};

const OPEN: (&str, &str) = ("SWITCHBOARD_AUTH__ANONYMOUS", "true");

#[tokio::test]
async fn a_signal_drains_and_ends_it_well() {
    for signal in [Signal::TERM, Signal::INT] {
        let program = Program::start(&[], &[OPEN]);
        let (address, _) = program.addresses().await;
        let mut client = Client::open(address).await;
        client.connect("").await;
        client.subscribe("news").await;
        program.signal(signal);
        assert_eq!(client.end().await, 3001);
        drop(client);
        let (status, log) = program.end().await;
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("drained"), "{log}");
        assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let program = Program::start(&[], &[OPEN, ("SWITCHBOARD_DRAIN__PACE", "1")]);
    let (address, _) = program.addresses().await;
    let mut clients = Vec::new();
    for _ in 0..30 {
        let mut client = Client::open(address).await;
        client.connect("").await;
        clients.push(client);
    }
    program.signal(Signal::TERM);
    program.says("draining").await;
    program.signal(Signal::TERM);
    let (status, log) = program.end().await;
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("in the middle of the drain"), "{log}");
}

#[tokio::test]
async fn the_command_drain_waits_until_the_clients_are_gone() {
    let program = Program::start(&[], &[OPEN]);
    let (address, admin) = program.addresses().await;
    let mut client = Client::open(address).await;
    client.connect("").await;
    let url = format!("http://{admin}");
    let arguments = ["drain", "--admin", &url];
    let (output, ()) = tokio::join!(run(&arguments, &[]), async {
        assert_eq!(client.end().await, 3001);
        drop(client);
    });
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "drained\n");
    assert_eq!(request(admin, "GET", "/readyz", "", b"").await.status, 503);
    assert_eq!(request(admin, "GET", "/livez", "", b"").await.status, 200, "until it is told to end");

    program.signal(Signal::TERM);
    let (status, log) = program.end().await;
    assert_eq!(status.code(), Some(0), "{log}");
    let output = run(&arguments, &[]).await;
    assert_eq!(output.status.code(), Some(1), "nobody is there any more");
    assert!(String::from_utf8(output.stderr).unwrap().contains(&url));
}
