//! Which values are saved.

use super::*;
use crate::settings::{ShowArguments, ShownSettings};

fn can_be_read(word: &str) -> bool {
    let command = ShowArguments::augment_args(Command::new("sbm").no_binary_name(true));
    let matches = command.try_get_matches_from([word]).unwrap();
    let typed = ShowArguments::from_arg_matches(&matches).unwrap();
    ShownSettings::new(&typed, &|_| None).is_ok()
}

#[test]
fn what_is_saved_can_be_read_and_the_other_way_round() {
    for (option, least, most) in [
        ("--concurrency", 1, 10_000),
        ("--timeoutretrycount", 0, 1_000),
        ("--defaultscripttimeout", 1, 604_800),
    ] {
        for (value, expected) in [
            (least - 1, false),
            (least, true),
            (most, true),
            (most + 1, false),
        ] {
            let word = format!("{option}={value}");
            let saved = Place::new().save::<Batch>(&[&word]);
            assert_eq!(saved.is_ok(), expected, "{word}");
            if let Err(refused) = saved {
                let accepted = format!("from {least} to {most}");
                assert!(refused.contains(&accepted), "{refused}");
            }
            assert_eq!(can_be_read(&word), expected, "{word}");
        }
    }
}
