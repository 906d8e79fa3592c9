//! The control-plane APIs: one file each with its messages as plain structs. Must not know what the broker does with them.

pub mod api_versions;
