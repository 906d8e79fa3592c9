//! The power-cut rig.
fn main() {}
