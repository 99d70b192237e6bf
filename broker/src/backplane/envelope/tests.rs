use proptest::prelude::*;

use super::*;

fn address() -> Address {
    Address { instance: InstanceId::new("chat-0"), epoch: Epoch(7) }
}

#[test]
fn a_packet_gives_back_its_envelopes_in_order() {
    let client = ClientId::generate();
    let excluded = Excluded::read(b"\0\0\0\0\x01\0a").unwrap();
    let publication = Publication { info: b"{}", tags: b"", data: b"[1]" };
    let sent = [
        Envelope::PublicationBut(excluded, publication),
        Envelope::EveryoneBut(excluded, publication),
        Envelope::Publication(Publication { info: b"{}", tags: b"", data: b"[1]" }),
        Envelope::Join(client, b"{\"user\":\"a\"}"),
        Envelope::Leave(client, b""),
        Envelope::Everyone(Publication { info: b"", tags: b"{}", data: b"2" }),
        Envelope::Board(b"\x82"),
        Envelope::Ask(9, b"*"),
        Envelope::Answer(9, b"{}"),
        Envelope::Stream(Position { offset: 7, epoch: StreamEpoch::generate() }),
    ];
    let mut bytes = Vec::new();
    write_header(&address(), &mut bytes);
    for envelope in &sent {
        envelope.write(&mut bytes);
    }
    let packet = Packet::read(&bytes).unwrap();
    assert!(packet.is_from(&address()));
    assert_eq!(packet.sender(), address());
    assert_eq!(packet.collect::<Result<Vec<_>, _>>().unwrap(), sent);
}

#[test]
fn a_packet_of_a_stream_says_where_it_begins() {
    let first = Position { offset: 7, epoch: StreamEpoch::generate() };
    let publication = Envelope::Publication(Publication { info: b"", tags: b"", data: b"1" });
    let mut bytes = Vec::new();
    write_header(&address(), &mut bytes);
    let plain = bytes.len();
    Envelope::Stream(first).write(&mut bytes);
    publication.write(&mut bytes);
    let mut packet = Packet::read(&bytes).unwrap();
    assert_eq!(packet.take_stream(), Some(first));
    assert_eq!(packet.take_stream(), None);
    assert_eq!(packet.collect::<Vec<_>>(), [Ok(publication)]);
    let mut one = Vec::new();
    publication.write(&mut one);
    assert_eq!(Envelope::read_one(&one), Ok(publication));
    one.push(0);
    assert_eq!(Envelope::read_one(&one), Err(PacketError::Truncated));
    // No epoch that a stream could have.
    bytes[plain + 13] = b'-';
    let mut packet = Packet::read(&bytes).unwrap();
    assert_eq!(packet.take_stream(), None);
    assert_eq!(packet.next(), Some(Err(PacketError::Stream)));
}

#[test]
fn an_unknown_kind_does_not_hide_what_follows() {
    let mut bytes = Vec::new();
    write_header(&address(), &mut bytes);
    bytes.extend_from_slice(&[200, 1, 0, 0, 0, b'x']);
    Envelope::Ask(1, b"").write(&mut bytes);
    let read: Vec<_> = Packet::read(&bytes).unwrap().collect();
    assert_eq!(read, [Err(PacketError::Kind(200)), Ok(Envelope::Ask(1, b""))]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_and_reading_ends(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(packet) = Packet::read(&bytes) {
            prop_assert!(packet.count() <= bytes.len());
        }
    }

    #[test]
    fn a_cut_packet_never_invents_an_envelope(data in proptest::collection::vec(any::<u8>(), 0..50), cut in 0usize..100) {
        let mut bytes = Vec::new();
        write_header(&address(), &mut bytes);
        let header = bytes.len();
        Envelope::Publication(Publication { info: b"", tags: b"", data: &data }).write(&mut bytes);
        let cut = cut.min(bytes.len() - header - 1);
        bytes.truncate(header + cut);
        let read: Vec<_> = Packet::read(&bytes).unwrap().collect();
        prop_assert!(read.iter().all(Result::is_err));
    }
}
