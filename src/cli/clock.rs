//! Timestamps as people write them: milliseconds, RFC 3339, strftime patterns, relative times. All in UTC.

/// Milliseconds of one day.
const DAY_MS: i64 = 86_400_000;

/// A moment split into calendar fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// Year, may be negative.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
    /// 0 to 999.
    pub milli: u32,
}

impl Civil {
    /// The calendar fields of a timestamp (proleptic Gregorian calendar).
    pub fn from_ms(timestamp_ms: i64) -> Civil {
        let days = timestamp_ms.div_euclid(DAY_MS);
        let rest = timestamp_ms.rem_euclid(DAY_MS) as u32;
        let (year, month, day) = date_of(days);
        Civil {
            year,
            month,
            day,
            hour: rest / 3_600_000,
            minute: rest / 60_000 % 60,
            second: rest / 1000 % 60,
            milli: rest % 1000,
        }
    }

    /// The timestamp of calendar fields, or `None` if there is no such moment.
    pub fn to_ms(self) -> Option<i64> {
        let valid = (1..=12).contains(&self.month)
            && (1..=31).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
            && self.year.abs() < 1_000_000;
        if !valid {
            return None;
        }
        let days = days_of(self.year, self.month, self.day);
        if date_of(days) != (self.year, self.month, self.day) {
            return None;
        }
        let seconds = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        Some(days * DAY_MS + seconds * 1000 + i64::from(self.milli))
    }
}

/// Days since 1970-01-01 to a date, by counting years from March so that leap days come last.
fn date_of(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

fn days_of(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// `2026-11-21T10:02:03.004Z`.
pub fn rfc3339(timestamp_ms: i64) -> String {
    let t = Civil::from_ms(timestamp_ms);
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        milli,
    } = t;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Formats with the usual letters: `%Y %m %d %H %M %S %3f %F %T %s %%` (`%3f` = milliseconds).
///
/// # Errors
/// A sentence naming the letter that is not known.
pub fn strftime(pattern: &str, timestamp_ms: i64) -> Result<String, String> {
    let t = Civil::from_ms(timestamp_ms);
    let mut text = String::with_capacity(pattern.len() + 16);
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let verb = letters.next();
        text += &match verb {
            Some('Y') => format!("{:04}", t.year),
            Some('m') => format!("{:02}", t.month),
            Some('d') => format!("{:02}", t.day),
            Some('H') => format!("{:02}", t.hour),
            Some('M') => format!("{:02}", t.minute),
            Some('S') => format!("{:02}", t.second),
            Some('3') if letters.next() == Some('f') => format!("{:03}", t.milli),
            Some('F') => format!("{:04}-{:02}-{:02}", t.year, t.month, t.day),
            Some('T') => format!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second),
            Some('s') => timestamp_ms.div_euclid(1000).to_string(),
            Some('%') => "%".to_string(),
            _ => {
                return Err(format!(
                    "strftime pattern `{pattern}`: use %Y %m %d %H %M %S %3f %F %T %s %%"
                ));
            }
        };
    }
    Ok(text)
}

/// Reads RFC 3339, the time part and zone optional (`2026-11-21`, `2026-11-21T10:02`, `2026-11-21 10:02:03.5+01:00`).
///
/// # Errors
/// A sentence with an example.
pub fn parse_rfc3339(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a time: write 2026-11-21T10:02:03Z");
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    let mut fields = date.splitn(3, '-');
    let mut number = || fields.next().and_then(digits).ok_or_else(wrong);
    let (year, month, day) = (number()?, number()?, number()?);
    let (clock, zone_ms) = split_zone(time).ok_or_else(wrong)?;
    let mut civil = Civil {
        year: i64::from(year),
        month,
        day,
        hour: 0,
        minute: 0,
        second: 0,
        milli: 0,
    };
    if !clock.is_empty() {
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let mut fields = clock.splitn(3, ':');
        civil.hour = fields.next().and_then(digits).ok_or_else(wrong)?;
        civil.minute = fields.next().and_then(digits).ok_or_else(wrong)?;
        civil.second = fields.next().map_or(Some(0), digits).ok_or_else(wrong)?;
        let milli: String = fraction.chars().chain("000".chars()).take(3).collect();
        civil.milli = digits(&milli).ok_or_else(wrong)?;
    }
    civil.to_ms().map(|ms| ms - zone_ms).ok_or_else(wrong)
}

fn digits(text: &str) -> Option<u32> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Splits `10:02:03+01:00` into the clock part and the zone's offset in milliseconds. No zone means UTC.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let sign = if time[at..].starts_with('+') { 1 } else { -1 };
    let (hours, minutes) = time[at + 1..].split_once(':')?;
    Some((
        &time[..at],
        sign * (i64::from(digits(hours)?) * 60 + i64::from(digits(minutes)?)) * 60_000,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_795_255_323_000, "2026-11-21T10:02:03.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339(ms), text);
            assert_eq!(parse_rfc3339(text), Ok(ms));
        }
        assert_eq!(parse_rfc3339("2026-11-21T11:02:03+01:00"), Ok(1_795_255_323_000));
        assert_eq!(parse_rfc3339("2026-11-21 10:02"), Ok(1_795_255_320_000));
        assert_eq!(parse_rfc3339("1970-01-02"), Ok(86_400_000));
        assert_eq!(parse_rfc3339("1970-01-01T00:00:00.5Z"), Ok(500));
        for bad in [
            "yesterday",
            "2026-02-30",
            "2026-13-01",
            "2026-11-21T25:00",
            "2026-11-21Tx",
            "2026-11-21T10:02+1",
        ] {
            assert!(parse_rfc3339(bad).unwrap_err().contains("write 2026"), "{bad}");
        }
    }

    #[test]
    fn strftime_has_the_usual_letters() {
        assert_eq!(
            strftime("%F %T.%3f|%s|%%", 1_795_255_323_004).unwrap(),
            "2026-11-21 10:02:03.004|1795255323|%"
        );
        assert!(strftime("%Q", 0).unwrap_err().contains("%Y"));
    }

    proptest! {
        #[test]
        fn every_moment_survives(ms in -62_000_000_000_000i64..250_000_000_000_000) {
            prop_assert_eq!(Civil::from_ms(ms).to_ms(), Some(ms));
        }

        #[test]
        fn no_text_panics(text in "[0-9TtZz:+. é-]{0,30}|\\PC{0,20}") {
            let _ = parse_rfc3339(&text);
            let _ = strftime(&text, 0);
        }
    }
}
