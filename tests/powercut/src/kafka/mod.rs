//! A minimal Kafka client on blocking sockets, written for the rigs alone so that no code of the broker checks itself.
//!
//! Only fixed, non-flexible versions: Metadata 5, CreateTopics 4, InitProducerId 1, Produce 7, Fetch 11, ListOffsets 2.

pub mod api;
pub mod batch;
pub mod conn;
pub mod wire;
