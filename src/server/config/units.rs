//! Sizes and CPU lists as people write them.

/// Parses `512MiB`, `1 GiB`, `64k`, `1.5GB` or plain bytes. `KiB`, `MiB`, `GiB`, `TiB` and the bare letters are powers of
/// 1024; `KB`, `MB`, `GB`, `TB` are powers of 1000.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(format!("`{text}` is not a size: write bytes or 64KiB, 512MiB, 2GiB")),
    };
    let bad = || format!("`{text}` is not a size: write bytes or 64KiB, 512MiB, 2GiB");
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(bad);
    }
    let number: f64 = number.parse().map_err(|_| bad())?;
    let bytes = number * factor as f64;
    if !(0.0..9e18).contains(&bytes) {
        return Err(bad());
    }
    Ok(bytes as u64)
}

/// `1.5 GiB`, `512 MiB`, `4096 B`.
pub fn show_size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (name, unit) in UNITS {
        if bytes >= unit {
            let tenths = ((bytes as u128 * 10 + unit as u128 / 2) / unit as u128) as u64;
            return if tenths.is_multiple_of(10) {
                format!("{} {name}", tenths / 10)
            } else {
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{bytes} B")
}

/// Largest CPU number taken: `CPU_SETSIZE`.
const CPU_MAX: usize = 1024;

/// Parses `0,2-3` into CPU numbers in the order given.
///
/// # Errors
/// A sentence that says what is wrong: not a number, a range that goes down, a CPU named twice, none at all.
pub fn parse_cpus(text: &str) -> Result<Vec<usize>, String> {
    let mut cpus = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| match text.trim().parse::<usize>() {
            Ok(cpu) if cpu < CPU_MAX => Ok(cpu),
            _ => Err(format!(
                "`{part}` is not a CPU number or range; write a list such as 0,2-3"
            )),
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return Err(format!("the range `{part}` goes down; write {last}-{first}"));
        }
        for cpu in first..=last {
            if cpus.contains(&cpu) {
                return Err(format!("CPU {cpu} is named twice"));
            }
            cpus.push(cpu);
        }
    }
    if cpus.is_empty() {
        return Err("no CPU is named; write a list such as 0,2-3".into());
    }
    Ok(cpus)
}

/// `0,2-3`: consecutive CPUs joined.
pub fn show_cpus(cpus: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &cpu in cpus {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => parts.push((cpu, cpu)),
        }
    }
    let show = |(first, last): &(usize, usize)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    parts.iter().map(show).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_in_all_spellings() {
        assert_eq!(parse_size("512MiB"), Ok(512 << 20));
        assert_eq!(parse_size("1 GiB"), Ok(1 << 30));
        assert_eq!(parse_size("1g"), Ok(1 << 30));
        assert_eq!(parse_size("1.5GB"), Ok(1_500_000_000));
        assert_eq!(parse_size("4096"), Ok(4096));
        for bad in [
            "",
            "MiB",
            "-1",
            "1 XiB",
            "99999999999999999999",
            "99999999999TiB",
            "1.2.3G",
        ] {
            assert!(parse_size(bad).is_err_and(|e| e.contains("512MiB")), "{bad}");
        }
        assert_eq!(show_size(1_610_612_736), "1.5 GiB");
        assert_eq!(show_size(512 << 20), "512 MiB");
        assert_eq!(show_size(100), "100 B");
    }

    #[test]
    fn cpu_lists_round_trip() {
        assert_eq!(parse_cpus("0, 2-3"), Ok(vec![0, 2, 3]));
        assert_eq!(show_cpus(&[0, 2, 3]), "0,2-3");
        assert_eq!(show_cpus(&[3, 1]), "3,1");
        for (bad, says) in [
            ("", "no CPU"),
            ("3-1", "1-3"),
            ("1,1", "twice"),
            ("x", "0,2-3"),
            ("0-9999999", "0,2-3"),
        ] {
            assert!(parse_cpus(bad).is_err_and(|e| e.contains(says)), "{bad}");
        }
    }
}
