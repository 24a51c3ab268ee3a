use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    protocol::{Pair, Target},
    targets::{RowData, RowItem, format_line},
};

const ROW_DATA: &str =
    include_str!("../../../tests/fixtures/targets/MultiDb_WithQueryRowData.multiDb");
const OLD_LAYOUT: &str = include_str!("../../../tests/fixtures/targets/NoTrans_MultiDb.multiDb");

/// Each target as a `.cfg` line behind the number of its line.
fn lines(text: &str) -> Vec<String> {
    let listed = parse_multi_db(text).unwrap_or_else(|faults| panic!("{text}: {faults}"));
    let line = |each: &Listed| format!("{} {}", each.line, format_line(&each.target));
    listed.iter().map(line).collect()
}

fn faults(text: &str) -> Vec<String> {
    match parse_multi_db(text) {
        Ok(targets) => panic!("{text}: read as {targets:?}"),
        Err(faults) => faults.faults.iter().map(ToString::to_string).collect(),
    }
}

/// A document with this in its one `ServerData`.
fn document(inside: &str) -> String {
    format!("<ArrayOfServerData>\n<ServerData>{inside}</ServerData>\n</ArrayOfServerData>")
}

fn pair(default: &str, database: &str) -> String {
    format!(
        "<DatabaseOverride><DefaultDbTarget>{default}</DefaultDbTarget><OverrideDbTarget>{database}</OverrideDbTarget>\
         </DatabaseOverride>"
    )
}

fn item(column: &str, value: &str) -> RowItem {
    RowItem {
        column: column.into(),
        value: value.into(),
    }
}

#[test]
fn the_sample_of_the_present_layout_is_read_with_its_row_data() {
    assert_eq!(
        lines(ROW_DATA),
        [
            "3 Server1\\Instance_1:Default,Db_0001",
            "16 Server2\\Instance_1:Default,Db_0002",
            "29 Server2\\Instance_1:Default,Db_0003",
        ]
    );
    let listed = parse_multi_db(ROW_DATA).unwrap();
    assert_eq!(
        listed[2].row_data.of_pair(0),
        [
            item("CompanyName", "MyCompany3"),
            item("CompanyID", "000003")
        ]
    );
    assert_eq!(listed[2].row_data.of_pair(1), []);
}

#[test]
fn each_item_of_the_older_layout_is_a_target() {
    assert_eq!(
        lines(OLD_LAYOUT),
        [
            "6 (local)\\SQLEXPRESS:SqlBuildTest,SqlBuildTest",
            "19 (local)\\SQLEXPRESS:SqlBuildTest,SqlBuiltTest1",
        ]
    );
}

#[test]
fn items_of_the_older_layout_come_in_the_order_of_their_numbers() {
    let item = |key: &str, pairs: &str| {
        format!(
            "<item><key><string>{key}</string></key><value><ArrayOfDatabaseOverride>{pairs}</ArrayOfDatabaseOverride>\
             </value></item>"
        )
    };
    let sequence = |items: &[String]| {
        document(&format!(
            "<ServerName>s</ServerName><Overrides /><OverrideSequence>{}</OverrideSequence>",
            items.concat()
        ))
    };
    let two = format!("{}{}", pair("a", "x"), pair("b", "y"));
    let items = [
        item("10", &pair("", "c")),
        item("2", &two),
        item("-1.5", &pair("", "a")),
        item("2", &pair("", "d")),
    ];
    assert_eq!(
        lines(&sequence(&items)),
        ["2 s:a", "2 s:a,x;b,y", "2 s:d", "2 s:c"]
    );
    let found = faults(&sequence(&[item("first", &pair("", "a")), item("1", "")]));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("line 2: `first`: the item has this key"));
    assert!(found[1].starts_with("line 2: the server has no database"));
}

#[test]
fn every_part_of_an_override_is_read() {
    let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<ArrayOfServerData xmlns:xsi='urn:x'>\r\n\
                <ServerData><Colour>blue</Colour><ServerName> S </ServerName><Overrides>\r\n\
                <DatabaseOverride><ConcurrencyTag>EU</ConcurrencyTag><Server>s </Server><DefaultDbTarget>a</DefaultDbTarget>\
                <OverrideDbTarget> b&amp;c </OverrideDbTarget><Retry>1</Retry></DatabaseOverride>\r\n\
                <DatabaseOverride><DefaultDbTarget>d</DefaultDbTarget><OverrideDbTarget/></DatabaseOverride>\
                <DatabaseOverride><OverrideDbTarget>e</OverrideDbTarget><ConcurrencyTag /></DatabaseOverride>\r\n\
                </Overrides></ServerData><Other/></ArrayOfServerData>";
    assert_eq!(lines(text), ["3 S:a,b&c;d,d;e#EU"]);
}

#[test]
fn json_is_read_with_names_in_any_case() {
    let text = "\u{feff}\n[\n  { \"serverName\": \"s1\", \"OVERRIDES\": [\n    { \"ConcurrencyTag\": \"EU\", \"Server\": \"S1\", \
                \"defaultDbTarget\": \"a\", \"OverrideDbTarget\": \"b\" },\n    {\"OverrideDbTarget\": \"\\u00e9\"}] },\n\
                {\"ServerName\":\"s2\",\"Unknown\":{\"x\":[1]},\"Overrides\":[{\"DefaultDbTarget\":\"c\",\"OverrideDbTarget\":null,\
                \"ConcurrencyTag\":\"\",\"QueryRowData\":[{\"ColumnName\":\"n\",\"Value\":\"v\"}]}]}]\n";
    assert_eq!(lines(text), ["3 s1:a,b;\u{e9}#EU", "6 s2:c,c"]);
    let listed = parse_multi_db(text).unwrap();
    assert!(listed[0].row_data.is_empty());
    assert_eq!(listed[1].row_data.of_pair(0), [item("n", "v")]);
    assert_eq!(lines("[]"), [""; 0]);
}

#[test]
fn every_fault_of_a_document_is_named_with_its_line() {
    let text = "<ArrayOfServerData>\n\
                <ServerData><ServerName> </ServerName><Overrides/></ServerData>\n\
                <ServerData><ServerName>s</ServerName></ServerData>\n\
                <ServerData><ServerName>s</ServerName><Overrides>\n\
                <DatabaseOverride/>\n\
                <DatabaseOverride><Server>t</Server><OverrideDbTarget>a</OverrideDbTarget></DatabaseOverride>\n\
                </Overrides></ServerData>\n\
                <ServerData><ServerName>s</ServerName><Overrides>\n\
                <DatabaseOverride><DefaultDbTarget>c</DefaultDbTarget><OverrideDbTarget>a</OverrideDbTarget>\
                <ConcurrencyTag>x</ConcurrencyTag></DatabaseOverride>\n\
                <DatabaseOverride><DefaultDbTarget>C</DefaultDbTarget><OverrideDbTarget>b</OverrideDbTarget>\
                <ConcurrencyTag>y</ConcurrencyTag></DatabaseOverride>\n\
                </Overrides></ServerData>\n\
                <ServerData><ServerName>&x;";
    let expected = [
        "line 2: the server has no name",
        "line 2: the server has no database",
        "line 3: the server has no database",
        "line 5: the override has no name",
        "line 6: `t`: the override names this server inside of the server `s`",
        "line 8: `b`: `C` stands for `a` and for `b`",
        "line 10: `y`: the override has this tag, and another one of the target has `x`",
        "line 12: the XML has the entity `&x;`",
    ];
    let found = faults(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
}

#[test]
fn every_fault_of_a_json_document_is_named_with_its_line() {
    let text = "[\n 5,\n {\"ServerName\": 7, \"Overrides\": {}},\n {\"ServerName\":\"s\",\"Overrides\":[\n  {\"Server\":[],\
                \"OverrideDbTarget\":\"a\"},\n  \"x\"\n ]}\n]";
    let expected = [
        "line 2: `5`: a server is written so; accepted is an object",
        "line 3: `{}`: `Overrides` is written so; accepted is an array",
        "line 3: `7`: `ServerName` is written so; accepted is a text",
        "line 3: the server has no name",
        "line 3: the server has no database",
        "line 5: `[]`: `Server` is written so; accepted is a text",
        "line 6: `\"x\"`: an override is written so; accepted is an object",
    ];
    let found = faults(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
}

#[test]
fn what_is_neither_xml_nor_json_is_one_fault() {
    for (text, start) in [
        ("", "line 1: neither XML nor JSON begins here"),
        (" \n s:a,b", "line 1: neither XML nor JSON begins here"),
        (
            "<SqlSyncBuildData/>",
            "line 1: `SqlSyncBuildData`: the root",
        ),
        (
            "{\"ServerName\":\"s\"}",
            "line 1: `{\"ServerName\":\"s\"}`: the file is written so",
        ),
        ("[\n{]", "line 2: the JSON is not well-formed"),
        ("[]\n[]", "line 2: the JSON is not well-formed"),
    ] {
        let found = faults(text);
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
        assert!(found[0].starts_with(start), "{text}: {found:#?}");
    }
    assert!(faults("<ArrayOfServerData>")[0].contains("has no end"));
    assert_eq!(lines("<ArrayOfServerData/>"), [""; 0]);
}

#[test]
fn a_list_is_written_in_the_form_of_the_reference_program() {
    let target = Target {
        server: "s".into(),
        pairs: vec![Pair {
            default: String::new(),
            database: "a<b".into(),
        }],
        tag: None,
    };
    let listed = Listed {
        row_data: RowData::new(vec![vec![item("n", " 1\"")]]),
        ..Listed::new(target, 1)
    };
    assert_eq!(
        format_multi_db(std::slice::from_ref(&listed), MultiDbForm::Xml).unwrap(),
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <ArrayOfServerData xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\n  \
         <ServerData>\n    <ServerName>s</ServerName>\n    <Overrides>\n      <DatabaseOverride>\n        \
         <ConcurrencyTag />\n        <Server>s</Server>\n        <DefaultDbTarget />\n        \
         <OverrideDbTarget>a&lt;b</OverrideDbTarget>\n        <QueryRowData>\n          \
         <QueryRowItem ColumnName=\"n\" Value=\"&#32;1&quot;\" />\n        </QueryRowData>\n      \
         </DatabaseOverride>\n    </Overrides>\n  </ServerData>\n</ArrayOfServerData>\n"
    );
    let without = Listed::new(listed.target, 1);
    assert_eq!(
        format_multi_db(&[without], MultiDbForm::Json).unwrap(),
        "[\n  {\n    \"ServerName\": \"s\",\n    \"Overrides\": [\n      {\n        \"ConcurrencyTag\": \"\",\n        \
         \"Server\": \"s\",\n        \"DefaultDbTarget\": \"\",\n        \"OverrideDbTarget\": \"a<b\"\n      }\n    ]\n  }\n]\n"
    );
}

#[test]
fn a_name_that_xml_cannot_hold_is_not_written_as_another() {
    let target = Target {
        server: "s".into(),
        pairs: vec![Pair {
            default: String::new(),
            database: "a\u{1}".into(),
        }],
        tag: None,
    };
    let listed = [Listed::new(target, 7)];
    let error = format_multi_db(&listed, MultiDbForm::Xml).unwrap_err();
    assert_eq!((error.line, error.text.as_str()), (7, "a\u{1}"));
    let json = format_multi_db(&listed, MultiDbForm::Json).unwrap();
    assert_eq!(parse_multi_db(&json).unwrap()[0].target, listed[0].target);
}

#[test]
fn both_examples_of_the_documentation_are_one_target() {
    let page = include_str!("../../../docs/targets.md");
    for form in ["xml", "json"] {
        let (_, example) = page.split_once(&format!("```{form}\n")).unwrap();
        let (example, _) = example.split_once("```").unwrap();
        let listed = parse_multi_db(example).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(format_line(&listed[0].target), "sql1:client,Client7#EU");
    }
}

/// Text that XML can hold, often with what means something in it.
fn name() -> impl Strategy<Value = String> {
    "([<>&\"' \t\r\n;,#\u{a0}]|[^\\x00-\\x1F\u{FFFE}\u{FFFF}]){0,6}"
}

fn named() -> impl Strategy<Value = String> {
    name().prop_filter("names are not blank", |name| !name.trim().is_empty())
}

fn listed() -> impl Strategy<Value = Listed> {
    let server = named().prop_map(|server| server.trim().to_owned());
    let row = vec((name(), name()), 0..3).prop_map(|row| {
        let items = row.into_iter();
        items
            .map(|(column, value)| RowItem { column, value })
            .collect::<Vec<_>>()
    });
    (
        server,
        vec((name(), named(), row), 1..4),
        option::of(named()),
    )
        .prop_map(|(server, pairs, tag)| {
            let mut rows = Vec::new();
            let pairs = pairs
                .into_iter()
                .enumerate()
                .map(|(at, (default, database, row))| {
                    rows.push(row);
                    // No two names are equal, and none is blank.
                    let default = match default.trim().is_empty() && at == 0 {
                        true => String::new(),
                        false => format!("{default}{at}"),
                    };
                    Pair { default, database }
                });
            let pairs = pairs.collect();
            let target = Target { server, pairs, tag };
            Listed {
                row_data: RowData::new(rows),
                ..Listed::new(target, 0)
            }
        })
}

fn without_lines(listed: Vec<Listed>) -> Vec<Listed> {
    let listed = listed.into_iter();
    listed.map(|each| Listed { line: 0, ..each }).collect()
}

proptest! {
    #[test]
    fn any_list_is_read_as_it_was_written(list in vec(listed(), 0..4)) {
        for form in [MultiDbForm::Xml, MultiDbForm::Json] {
            let text = format_multi_db(&list, form).unwrap();
            let again = parse_multi_db(&text).map_err(|faults| TestCaseError::fail(format!("{text}: {faults}")))?;
            prop_assert_eq!(without_lines(again), list.clone(), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(<|/>|>|ServerData|Overrides|=|'|\"|&|;|\\[|\\]|\\{|\\}|:|,|\n|\\PC){0,30}") {
        for text in [document(&text), format!("[{text}]"), text] {
            drop(parse_multi_db(&text).map_err(|faults| faults.to_string()));
        }
    }
}
