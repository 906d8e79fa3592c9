//! The APIs of consumer groups, one file each, and what groups store: messages as plain structs for all versions served.
//!
//! Where versions differ only in shape, there is one shape: FindCoordinator and OffsetFetch always carry lists, LeaveGroup always
//! carries members, a topic has a name and an id of which the wire has one. Each file names its API with a type that
//! implements [`Api`](crate::wire::message::Api). Must not know what a coordinator does with the messages.

pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod consumer_protocol;
pub mod delete_groups;
pub mod describe_groups;
pub mod find_coordinator;
pub mod heartbeat;
pub mod join_group;
pub mod leave_group;
pub mod list_groups;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod records;
pub mod sync_group;
