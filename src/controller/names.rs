//! Legal topic names (Kafka's `Topic.validate`) and the collision of `.` with `_` in metric names.

/// Longest topic name in bytes.
pub const NAME_MAX: usize = 249;

/// Checks a topic name.
///
/// # Errors
/// A sentence for the client that says which rule is broken.
pub fn check_topic_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("Topic name is invalid: the empty string is not allowed".into());
    }
    if name == "." || name == ".." {
        return Err(format!("Topic name is invalid: '{name}' is not allowed"));
    }
    if name.len() > NAME_MAX {
        return Err(format!(
            "Topic name is invalid: the length of {} bytes exceeds {NAME_MAX}",
            name.len()
        ));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.chars().all(legal) {
        return Ok(());
    }
    let shown = name.escape_debug();
    Err(format!(
        "Topic name is invalid: '{shown}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
    ))
}

/// The name with `.` as `_`: two topics whose names are equal in this form collide.
pub fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}
