use proptest::prelude::*;
use quick_xml::{XmlVersion, events::BytesStart, reader::Reader};

use super::*;
use crate::monitor::fixtures::{failed, line};

fn junit(lines: &[ResultLine]) -> String {
    let mut bytes = Vec::new();
    write_junit(&mut bytes, "orders", lines).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_document_counts_and_names_every_target() {
    let lines = [
        line("s1", "a", State::Committed),
        failed("s2", "b", "x.sql", "no \"orders\" & <none>"),
        line("s1", "c", State::Skipped),
    ];
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="orders" tests="3" failures="1" errors="0" skipped="1" time="4.000">
  <testsuite name="s1" tests="2" failures="0" errors="0" skipped="1" time="2.000">
    <testcase classname="s1" name="a" time="2.000"/>
    <testcase classname="s1" name="c" time="0.000">
      <skipped type="Skipped" message=""/>
    </testcase>
  </testsuite>
  <testsuite name="s2" tests="1" failures="1" errors="0" skipped="0" time="2.000">
    <testcase classname="s2" name="b" time="2.000">
      <failure type="RolledBack" message="no &quot;orders&quot; &amp; &lt;none&gt;">x.sql:14:5: no &quot;orders&quot; &amp; &lt;none&gt;
ALTER TABLE orders
    ADD note text</failure>
    </testcase>
  </testsuite>
</testsuites>
"#;
    assert_eq!(junit(&lines), expected);
}

#[test]
fn every_state_has_its_element() {
    let elements = State::ALL.map(|state| Outcome::of(state).element().unwrap_or("-"));
    let expected = [
        "-", "-", "-", "failure", "failure", "failure", "error", "failure", "error", "skipped",
        "error",
    ];
    assert_eq!(elements, expected);
}

#[test]
fn characters_that_xml_cannot_hold_are_marked() {
    assert_eq!(
        allowed("a\u{0}b\u{1b}[31m\u{ffff}\r\nc\td"),
        "a\u{fffd}b\u{fffd}[31m\u{fffd}\nc\td"
    );
    assert_eq!(attribute("a\r\nb\tc"), "a b c");
}

/// The attribute `name` of `element`, read back.
fn read(element: &BytesStart<'_>, name: &str) -> String {
    let attribute = element.try_get_attribute(name).unwrap().unwrap();
    attribute
        .normalized_value(XmlVersion::Implicit1_0)
        .unwrap()
        .into_owned()
}

fn is_allowed(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

proptest! {
    #[test]
    fn the_document_is_well_formed_whatever_the_texts_are(
        server in any::<String>(),
        database in any::<String>(),
        message in prop_oneof![any::<String>(), Just("]]>--&#0;<![CDATA[".to_owned())],
    ) {
        let document = junit(&[failed(&server, &database, &message, &message)]);
        prop_assert!(document.chars().all(is_allowed));
        let mut reader = Reader::from_str(&document);
        reader.config_mut().check_end_names = true;
        let mut depth = 0;
        let mut failures = 0;
        loop {
            match reader.read_event().unwrap() {
                Event::Start(element) => {
                    depth += 1;
                    match element.name().as_ref() {
                        "testsuite" => prop_assert_eq!(read(&element, "name"), attribute(&server)),
                        "failure" => {
                            failures += 1;
                            prop_assert_eq!(read(&element, "message"), attribute(&message));
                        }
                        _ => {}
                    }
                }
                Event::End(_) => depth -= 1,
                Event::Eof => break,
                _ => {}
            }
        }
        prop_assert_eq!((depth, failures), (0, 1));
    }
}
