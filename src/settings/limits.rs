//! How large a package may be.

use super::{Environment, Faults, LimitArguments, reader::Reader};
use crate::package::Limits;

/// The limits for a command that reads a package and does nothing else.
pub fn limits(typed: &LimitArguments, environment: Environment<'_>) -> Result<Limits, Faults> {
    let mut reader = Reader::new(environment);
    let limits = read(&mut reader, typed);
    reader.finish()?;
    Ok(limits)
}

pub(super) fn read(reader: &mut Reader<'_>, typed: &LimitArguments) -> Limits {
    let default = Limits::default();
    let script = typed.maxscriptsize.as_deref();
    let package = typed.maxpackagesize.as_deref();
    let ratio = typed.maxratio.as_deref();
    Limits {
        script_bytes: size(reader, "--maxscriptsize", script, default.script_bytes),
        package_bytes: size(reader, "--maxpackagesize", package, default.package_bytes),
        ratio: reader.number("--maxratio", ratio, default.ratio, 1..=1_000_000),
    }
}

fn size(reader: &mut Reader<'_>, option: &str, given: Option<&str>, default: u64) -> u64 {
    reader.note(option, given, default);
    let Some(text) = given else {
        return default;
    };
    bytes(text).filter(|size| *size > 0).unwrap_or_else(|| {
        let problem = "accepted is a number of bytes above 0, or one with KiB, MiB or GiB";
        reader.fault(option, given, problem);
        default
    })
}

/// The number of bytes that a text such as `64MiB` means.
fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let units = [("kib", 1_u64 << 10), ("mib", 1 << 20), ("gib", 1 << 30)];
    let (number, unit) = units
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((&text, 1));
    number.trim().parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_or_have_a_binary_unit() {
        for (text, expected) in [
            ("1", Some(1)),
            ("2KiB", Some(2 << 10)),
            (" 3 mib ", Some(3 << 20)),
            ("1GIB", Some(1 << 30)),
            ("99999999999GiB", None),
            ("MiB", None),
            ("1MB", None),
            ("-1", None),
            ("1.5MiB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn every_limit_that_cannot_be_used_is_told() {
        let typed = LimitArguments {
            maxscriptsize: Some("0".into()),
            maxpackagesize: Some("much".into()),
            maxratio: Some("0".into()),
        };
        let faults = limits(&typed, &|_| None).unwrap_err();
        assert_eq!(faults.list().len(), 3, "{faults}");
    }
}
