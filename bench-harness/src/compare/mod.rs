//! All sides in one run: the bare ring loop, ringlog, Kafka as people run it, Kafka with a flush per message.
//!
//! One broker at a time, on the same CPU, the same disk, under the same load client and settings; rounds in turn, so
//! that a noisy minute does not fall on one side only. Medians over rounds; the raw result of every cell is kept.

pub mod cells;
pub mod first_ack;
pub mod page;
pub mod rows;
pub mod side;
pub mod table;
