use proptest::prelude::*;

use super::*;

/// A header of version 2 with this behind its fixed part.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// The header of version 1 that a proxy writes for this client.
fn text_for(source: SocketAddr) -> Vec<u8> {
    let (family, destination) = match source {
        SocketAddr::V4(_) => ("TCP4", "10.0.0.1"),
        SocketAddr::V6(_) => ("TCP6", "fd00::1"),
    };
    format!("PROXY {family} {} {destination} {} 443\r\n", source.ip(), source.port()).into_bytes()
}

/// The header of version 2 that a proxy writes for this client, with fields of its own behind the addresses.
fn binary_for(source: SocketAddr, fields: &[u8]) -> Vec<u8> {
    let ports = [&source.port().to_be_bytes()[..], &443u16.to_be_bytes()].concat();
    match source.ip() {
        IpAddr::V4(ip) => binary(0x21, 0x11, &[&ip.octets()[..], &[10, 0, 0, 1], &ports, fields].concat()),
        IpAddr::V6(ip) => binary(0x21, 0x21, &[&ip.octets()[..], &[0xfd; 16], &ports, fields].concat()),
    }
}

#[test]
fn headers_as_proxies_write_them() {
    let client = |text: &str| Header::Client(text.parse().unwrap());
    let cases: [(&[u8], Header); 10] = [
        (b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n", client("192.0.2.7:56324")),
        (b"PROXY TCP6 2001:db8::7 fd00::1 56324 443\r\n", client("[2001:db8::7]:56324")),
        (b"PROXY UNKNOWN\r\n", Header::Itself),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2 and more\r\n", Header::Itself),
        (&binary_for("192.0.2.7:56324".parse().unwrap(), b""), client("192.0.2.7:56324")),
        (&binary_for("[2001:db8::7]:1".parse().unwrap(), b"\x04\0\x01a"), client("[2001:db8::7]:1")),
        // A health check: LOCAL, with or without addresses that mean nothing.
        (&binary(0x20, 0x00, b""), Header::Itself),
        (&binary(0x20, 0x11, &[1; 12]), Header::Itself),
        (&binary(0x21, 0x00, b"ignored"), Header::Itself),
        (&binary(0x21, 0x31, &[b'a'; 216]), Header::Itself),
    ];
    for (bytes, header) in cases {
        assert_eq!(read(bytes), Ok(Start::Whole(header, bytes.len())), "{bytes:?}");
        let with_more = [bytes, b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(read(&with_more), Ok(Start::Whole(header, bytes.len())), "{bytes:?}");
    }
}

#[test]
fn what_is_broken_is_refused() {
    let long_line = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 100], b"\r\n"].concat();
    let cases: [&[u8]; 20] = [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"proxy TCP4",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 56324\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 1\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 +5 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 05 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n",
        b"PROXY TCP4 192.0.2.256 10.0.0.1 5 443\r\n",
        b"PROXY TCP4 2001:db8::7 fd00::1 5 443\r\n",
        b"PROXY TCP4  192.0.2.7 10.0.0.1 5 443\r\n",
        b"PROXY UDP4 192.0.2.7 10.0.0.1 5 443\r\n",
        &long_line,
        &binary(0x11, 0x11, &[0; 12]),
        &binary(0x22, 0x11, &[0; 12]),
        &binary(0x21, 0x11, &[0; 11]),
        &binary(0x21, 0x12, &[0; 12]),
        &binary(0x21, 0x10, &[0; 12]),
        &binary(0x21, 0x11, &[0; REST_SIZE + 1]),
    ];
    for bytes in cases {
        assert!(read(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn too_long_a_header_is_refused_by_its_fixed_part_alone() {
    let header = binary(0x21, 0x11, &[0; REST_SIZE + 1]);
    assert_eq!(read(&header[..FIXED_SIZE]), Err(Broken("it is too long")));
}

proptest! {
    #[test]
    fn any_header_is_read_wherever_it_is_cut(
        source: SocketAddr,
        fields in proptest::collection::vec(any::<u8>(), 0..100),
        cut in 0usize..200,
    ) {
        // The text of an address with a scope is none that a proxy writes.
        let source = SocketAddr::new(source.ip(), source.port());
        for bytes in [text_for(source), binary_for(source, &fields)] {
            prop_assert_eq!(read(&bytes), Ok(Start::Whole(Header::Client(source), bytes.len())));
            if cut < bytes.len() {
                prop_assert_eq!(read(&bytes[..cut]), Ok(Start::Part));
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, command: u8, family: u8) {
        for bytes in [bytes.clone(), [TEXT, &bytes].concat(), binary(command, family, &bytes)] {
            if let Ok(Start::Whole(_, length)) = read(&bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }

    #[test]
    fn waiting_for_the_rest_ends(byte: u8, command in 0x20u8..0x22) {
        let text = [TEXT, &[byte].repeat(TEXT_SIZE)].concat();
        prop_assert_ne!(read(&text), Ok(Start::Part));
        let endless = [&binary(command, 0x11, b"")[..14], &[0x10, 0x00], &[byte].repeat(REST_SIZE)].concat();
        prop_assert_ne!(read(&endless), Ok(Start::Part));
    }
}
