//! A scripted broker: answers requests with whatever a test says, to show the client what real brokers do on bad days.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, MetadataResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// One request as it came.
pub struct Asked {
    /// API key.
    pub key: i16,
    /// Version.
    pub version: i16,
    /// Body after the header.
    pub body: Bytes,
}

/// What the fake does about a request.
pub enum Answer {
    /// Sends this body (the response header is added).
    Body(BytesMut),
    /// Closes the connection.
    Close,
}

impl Answer {
    /// Encodes a response.
    pub fn of(response: &impl Encodable, version: i16) -> Answer {
        let mut body = BytesMut::new();
        response.encode(&mut body, version).unwrap();
        Answer::Body(body)
    }
}

/// Starts a fake on a free port of 127.0.0.1; `script` answers every request of every connection in turn.
pub fn start(mut script: impl FnMut(SocketAddr, &Asked) -> Answer + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        // One connection at a time is enough: the client opens a second one only after it dropped the first.
        for socket in listener.incoming().map_while(Result::ok) {
            serve(socket, address, &mut script);
        }
    });
    address
}

fn serve(mut socket: TcpStream, address: SocketAddr, script: &mut impl FnMut(SocketAddr, &Asked) -> Answer) {
    let mut length = [0; 4];
    while socket.read_exact(&mut length).is_ok() {
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        if socket.read_exact(&mut frame).is_err() {
            return;
        }
        let mut frame = Bytes::from(frame);
        let (key, version) = (
            i16::from_be_bytes([frame[0], frame[1]]),
            i16::from_be_bytes([frame[2], frame[3]]),
        );
        let api = ApiKey::try_from(key).unwrap();
        let header = RequestHeader::decode(&mut frame, api.request_header_version(version)).unwrap();
        let asked = Asked {
            key,
            version,
            body: frame.copy_to_bytes(frame.remaining()),
        };
        let Answer::Body(body) = script(address, &asked) else {
            return;
        };
        let mut reply = BytesMut::new();
        let response_header = ResponseHeader::default().with_correlation_id(header.correlation_id);
        response_header
            .encode(&mut reply, api.response_header_version(version))
            .unwrap();
        reply.put(body);
        let length = (reply.len() as u32).to_be_bytes();
        if socket
            .write_all(&length)
            .and_then(|()| socket.write_all(&reply))
            .is_err()
        {
            return;
        }
    }
}

/// A version table.
pub fn versions(ranges: &[(ApiKey, i16, i16)]) -> ApiVersionsResponse {
    let range = |&(key, min, max): &(ApiKey, i16, i16)| {
        ApiVersion::default()
            .with_api_key(key as i16)
            .with_min_version(min)
            .with_max_version(max)
    };
    ApiVersionsResponse::default().with_api_keys(ranges.iter().map(range).collect())
}

/// Metadata with these brokers and one topic `t` of one partition led by `leader`.
pub fn metadata(brokers: &[(i32, SocketAddr)], leader: i32) -> MetadataResponse {
    let broker = |&(id, address): &(i32, SocketAddr)| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(id))
            .with_host(StrBytes::from_string(address.ip().to_string()))
            .with_port(i32::from(address.port()))
    };
    let partition = MetadataResponsePartition::default()
        .with_leader_id(BrokerId(leader))
        .with_replica_nodes(vec![BrokerId(leader)])
        .with_isr_nodes(vec![BrokerId(leader)]);
    let topic = MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_static_str("t"))))
        .with_partitions(vec![partition]);
    MetadataResponse::default()
        .with_brokers(brokers.iter().map(broker).collect())
        .with_controller_id(BrokerId(brokers[0].0))
        .with_topics(vec![topic])
}
