use super::*;
use crate::payload::{Shape, Stamp, Template};
use crate::proto::read_produce_ack;
use std::io::{Read, Write};
use std::net::TcpStream;

fn request(correlation: i32, record_bytes: usize) -> Vec<u8> {
    let shape = Shape {
        topic: "t".into(),
        acks: -1,
        timeout_ms: 1000,
        records: 1,
        record_bytes,
        run_id: 1,
    };
    let template = Template::new(&shape);
    let mut frame = template.bytes().to_vec();
    let stamp = Stamp {
        correlation,
        partition: 3,
        producer: 0,
        sequence: 0,
        intended_ns: 0,
        identity: None,
        wall_ms: 0,
    };
    template.patch(&mut frame, &stamp);
    frame
}

fn start() -> SocketAddr {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/floor-test");
    std::fs::create_dir_all(&dir).unwrap();
    let data = dir.join(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = Config {
        listen,
        data,
        data_bytes: 8 << 20,
        cpu: 0,
        writes_in_flight_max: 1,
    };
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || run(&config, |at| send.send(at).unwrap()));
    receive.recv().unwrap()
}

fn read_reply(stream: &mut TcpStream) -> crate::proto::ProduceAck {
    let mut len = [0; 4];
    stream.read_exact(&mut len).unwrap();
    let mut body = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut body).unwrap();
    read_produce_ack(&body).unwrap()
}

#[test]
fn pipelined_requests_are_answered_in_order_whatever_their_size() {
    let mut stream = TcpStream::connect(start()).unwrap();
    let sizes = [100, 1 << 20, 40, 300_000, 1000, 64 << 10, 1 << 20, 1 << 20, 77];
    let bytes: Vec<u8> = (0..).zip(sizes).flat_map(|(id, size)| request(id, size)).collect();
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || bytes.chunks(70_001).for_each(|part| writer.write_all(part).unwrap()));
    for correlation in 0..sizes.len() as i32 {
        let ack = read_reply(&mut stream);
        assert_eq!((ack.correlation, ack.partition, ack.error), (correlation, 3, 0));
    }
    sender.join().unwrap();
}

#[test]
fn a_bad_request_closes_its_connection_and_no_other() {
    let at = start();
    let mut good = TcpStream::connect(at).unwrap();
    let mut bad = TcpStream::connect(at).unwrap();
    bad.write_all(&[0, 0, 0, 4, 0, 99, 0, 0]).unwrap();
    assert_eq!(bad.read(&mut [0; 16]).unwrap_or(0), 0);
    let mut huge = TcpStream::connect(at).unwrap();
    huge.write_all(&[0x7f, 0xff, 0xff, 0xff]).unwrap();
    assert_eq!(huge.read(&mut [0; 16]).unwrap_or(0), 0);
    good.write_all(&request(8, 100)).unwrap();
    assert_eq!(read_reply(&mut good).correlation, 8);
}
