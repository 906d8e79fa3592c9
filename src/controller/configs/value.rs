//! Types of configuration values and their checks.

/// Type and legal range of a value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Bool,
    /// 32-bit integer within bounds, both inclusive.
    Int(i32, i32),
    /// 64-bit integer within bounds, both inclusive.
    Long(i64, i64),
    /// Floating point within bounds, both inclusive.
    Double(f64, f64),
    /// One of the given words.
    Word(&'static [&'static str]),
    /// Comma-separated; each item one of the words (any item when the list of words is empty).
    List(&'static [&'static str]),
    /// Any text.
    Text,
    /// 16-bit integer.
    Short,
    /// Name of a class of Java.
    Class,
    /// Secret, never shown.
    Password,
}

impl Kind {
    /// Type number of DescribeConfigs v3 and later (`ConfigResponse.ConfigType`).
    pub fn wire_type(self) -> i8 {
        match self {
            Kind::Bool => 1,
            Kind::Text | Kind::Word(_) => 2,
            Kind::Int(..) => 3,
            Kind::Long(..) => 5,
            Kind::Double(..) => 6,
            Kind::List(_) => 7,
            Kind::Short => 4,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }

    /// True when the empty text is a value of its own, not "unset".
    pub fn may_be_empty(self) -> bool {
        matches!(self, Kind::List(_))
    }

    /// True for values that nobody may read.
    pub fn is_secret(self) -> bool {
        matches!(self, Kind::Password)
    }

    /// True when APPEND and SUBTRACT make sense (KIP-339).
    pub fn is_list(self) -> bool {
        matches!(self, Kind::List(_))
    }

    /// Checks a value; the error completes the sentence "Invalid value v for configuration k: ...".
    pub fn check(self, value: &str) -> Result<(), String> {
        let value = value.trim();
        match self {
            Kind::Text | Kind::Class | Kind::Password => Ok(()),
            Kind::Short => match value.parse::<i16>() {
                Ok(_) => Ok(()),
                Err(_) => Err("Not a number of type SHORT".into()),
            },
            Kind::Bool => match value.to_ascii_lowercase().as_str() {
                "true" | "false" => Ok(()),
                _ => Err("Expected value to be either true or false".into()),
            },
            Kind::Int(min, max) => {
                let number: i32 = value.parse().map_err(|_| "Not a number of type INT".to_string())?;
                in_range(number, min, max)
            }
            Kind::Long(min, max) => {
                let number: i64 = value.parse().map_err(|_| "Not a number of type LONG".to_string())?;
                in_range(number, min, max)
            }
            Kind::Double(min, max) => {
                let number: f64 = value.parse().map_err(|_| "Not a number of type DOUBLE".to_string())?;
                in_range(number, min, max)
            }
            Kind::Word(words) if words.contains(&value) => Ok(()),
            Kind::Word(words) => Err(format!("String must be one of: {}", words.join(", "))),
            Kind::List(words) => items(value).try_for_each(|item| {
                if words.is_empty() || words.contains(&item) {
                    return Ok(());
                }
                Err(format!("String must be one of: {}", words.join(", ")))
            }),
        }
    }
}

fn in_range<T: PartialOrd + std::fmt::Display>(number: T, min: T, max: T) -> Result<(), String> {
    if number < min {
        return Err(format!("Value must be at least {min}"));
    }
    if number > max {
        return Err(format!("Value must be no more than {max}"));
    }
    Ok(())
}

/// The items of a list value, trimmed, empty ones left out.
pub fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}
