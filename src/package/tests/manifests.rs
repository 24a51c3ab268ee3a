//! What manifests say, and what they may not say.

use std::time::Duration;

use super::{faults, folder, manifest, write};
use crate::package::{Error, Fault, Limits, Package};

/// Opens a `.sbx` with this manifest, beside which `a.sql`, `b.sql` and `c.sql` lie.
fn open(xml: impl AsRef<[u8]>) -> Result<Package, Error> {
    let folder = folder();
    for name in ["a.sql", "b.sql", "c.sql"] {
        write(&folder, name, "select 1");
    }
    Package::open(&write(&folder, "p.sbx", xml), &Limits::default())
}

fn files(package: &Package) -> Vec<&str> {
    package
        .scripts
        .iter()
        .map(|script| script.file.as_str())
        .collect()
}

#[test]
fn scripts_run_in_ascending_order_with_missing_orders_last() {
    let package = open(manifest(
        "<Script FileName='a.sql'/><Script FileName='b.sql' BuildOrder='10'/>\
         <Script FileName='c.sql' BuildOrder='-1.5'/>",
    ))
    .unwrap();
    assert_eq!(files(&package), ["c.sql", "b.sql", "a.sql"]);
    let package = open(manifest(
        "<Script FileName='c.sql' BuildOrder='1'/><Script FileName='b.sql' BuildOrder='x'/>\
         <Script FileName='a.sql' BuildOrder='1'/>",
    ))
    .unwrap();
    assert_eq!(files(&package), ["c.sql", "a.sql", "b.sql"]);
}

#[test]
fn the_package_hash_takes_scripts_without_order_first() {
    let folder = folder();
    write(&folder, "a.sql", "select 1");
    write(&folder, "b.sql", "select 2");
    let hash = |scripts: &str| {
        let path = write(&folder, "p.sbx", manifest(scripts));
        Package::open(&path, &Limits::default())
            .unwrap()
            .build_hash()
    };
    assert_eq!(
        hash("<Script FileName='a.sql' BuildOrder='1'/><Script FileName='b.sql'/>"),
        hash("<Script FileName='a.sql' BuildOrder='2'/><Script FileName='b.sql' BuildOrder='1'/>")
    );
}

#[test]
fn missing_and_odd_values_take_their_defaults() {
    let package = open(manifest(
        "<Script FileName='a.sql' RollBackOnError='1' CausesBuildFailure='' ScriptTimeOut='5.5' \
         StripTransactionText='yes' AllowMultipleRuns='FALSE' DateModified='0001-01-01T00:00:00-05:00'/>",
    ))
    .unwrap();
    let script = &package.scripts[0];
    assert!(script.roll_back_on_error && script.causes_build_failure);
    assert!(!script.strip_transaction_text && !script.allow_multiple_runs);
    assert_eq!(script.timeout, None);
    assert_eq!(script.provenance.date_modified, None);
    let package = open(manifest("<Script FileName='a.sql' ScriptTimeOut='0'/>")).unwrap();
    assert_eq!(package.scripts[0].timeout, None);
    let package = open(manifest("<Script FileName='a.sql' ScriptTimeOut=' 7 '/>")).unwrap();
    assert_eq!(package.scripts[0].timeout, Some(Duration::from_secs(7)));
}

#[test]
fn scripts_without_id_get_the_same_id_in_every_reader() {
    let xml = manifest("<Script FileName='a.sql'/><Script FileName='b.sql' ScriptId=' '/>");
    let (one, other) = (open(&xml).unwrap(), open(&xml).unwrap());
    assert_eq!(one.sha256(), other.sha256());
    assert_ne!(one.scripts[0].id, one.scripts[1].id);
}

#[test]
fn all_faults_of_a_manifest_are_reported_together() {
    let id = "6f2f7b92-7ea8-4240-be14-327f443949d7";
    let found = faults(open(manifest(&format!(
        "<Script FileName='a.sql' ScriptId='{id}'/><Script FileName='b.sql' ScriptId='{{{}}}'/>\
         <Script FileName='c.sql' ScriptId='17'/><Script FileName='../d.sql'/>\
         <Script FileName='C:\\x\\e.sql'/><Script FileName='/etc/passwd'/><Script/>\
         <Script FileName='A.SQL' ScriptTimeOut='-5'/><Script FileName='f.sql'/>",
        id.to_uppercase()
    ))));
    let name = |position, value: &str, reason| Fault::FileName {
        position,
        value: value.into(),
        reason,
    };
    let separator = "holds a path separator (`\\`, `/` or `:`)";
    assert_eq!(
        found,
        [
            Fault::ScriptId {
                script: "c.sql".into(),
                value: "17".into()
            },
            name(4, "../d.sql", separator),
            name(5, "C:\\x\\e.sql", separator),
            name(6, "/etc/passwd", separator),
            name(7, "", "is empty"),
            Fault::ScriptTimeout {
                script: "A.SQL".into(),
                value: -5
            },
            Fault::SameFileName {
                first: "a.sql".into(),
                second: "A.SQL".into()
            },
            Fault::SameScriptId {
                first: "a.sql".into(),
                second: "b.sql".into(),
                id: id.parse().unwrap()
            },
            Fault::MissingScript {
                script: "f.sql".into()
            },
        ]
    );
}

#[test]
fn other_namespaces_and_roots_are_refused_and_both_spellings_accepted() {
    let script = manifest("<Script FileName='a.sql'/>");
    let https = script.replace("http://schemas", "https://schemas");
    let prefixed = script
        .replace("xmlns=", "xmlns:p=")
        .replace("<Sql", "<p:Sql")
        .replace("</Sql", "</p:Sql")
        .replace("Scripts>", "Scripts >")
        .replace("<Script", "<p:Script")
        .replace("</Script", "</p:Script");
    for xml in [&script, &https, &prefixed] {
        assert_eq!(open(xml).unwrap().scripts.len(), 1, "{xml}");
    }
    for xml in [
        script.replace("schemas.mckechney.com", "example.com"),
        script.replace("xmlns=", "x="),
        script.replace("SqlSyncBuildData", "Other"),
    ] {
        let found = faults(open(&xml));
        assert!(matches!(&found[..], [Fault::Namespace { .. }]), "{found:?}");
    }
}

#[test]
fn entity_tricks_are_refused() {
    let script = manifest("<Script FileName='&x;'/>");
    let declared = script.replace(
        "<SqlSyncBuildData",
        "<!DOCTYPE SqlSyncBuildData [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><SqlSyncBuildData",
    );
    for xml in [script, declared] {
        let found = faults(open(xml));
        assert!(matches!(&found[..], [Fault::Entities { .. }]), "{found:?}");
    }
}

#[test]
fn utf_16_is_read_and_undecodable_bytes_are_refused() {
    let xml = manifest("<Script FileName='a.sql' Description='ä'/>");
    let mut utf_16 = vec![0xFF, 0xFE];
    utf_16.extend(xml.encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(open(utf_16).unwrap().scripts[0].description, "ä");
    let latin: Vec<u8> = xml.chars().map(|c| u8::try_from(c).unwrap()).collect();
    assert!(matches!(&faults(open(latin))[..], [Fault::Xml { .. }]));
}

#[test]
fn a_rewrite_keeps_history_reviews_and_everything_unknown() {
    let xml = manifest(
        "<Script FileName='a.sql' Colour='blue'><Note>n</Note></Script>",
    )
    .replace(
        "<Builds />",
        "<Builds><Build Name='2' BuildStart='2026-01-02T00:00:00Z' BuildId='DA39A3EE5E6B4B0D3255BFEF95601890AFD80709'>\
         <ScriptRun FileName='a.sql' Success='true'><FileHash>F</FileHash><Results>r\r\ns</Results></ScriptRun></Build>\
         <Build Name='1' BuildStart='2026-01-01T00:00:00Z' BuildId='c19f834f-bf7d-470f-8813-544a92835c69'/></Builds>\
         <CommittedScript ScriptId='1' ServerName='s'/>",
    )
    .replace(
        "</SqlSyncBuildData>",
        "<CodeReview><Comment>fine</Comment></CodeReview><x:y xmlns:x='urn:x' x:z='1'/></SqlSyncBuildData>",
    );
    let folder = folder();
    let (first, second) = (folder.path().join("1.sbm"), folder.path().join("2.sbm"));
    open(xml).unwrap().write_sbm(&first).unwrap();
    let once = Package::open(&first, &Limits::default()).unwrap();
    once.write_sbm(&second).unwrap();
    let twice = Package::open(&second, &Limits::default()).unwrap();
    assert_eq!(once.record, twice.record);
    let names: Vec<String> = vec!["a.sql".into()];
    let text = crate::package::manifest_write::write(&twice, &names);
    for kept in [
        "Colour=\"blue\">",
        "<Note>n</Note>",
        "<FileHash>F</FileHash>",
        "<Results>r\r\ns</Results>",
        "BuildId=\"c19f834f-bf7d-470f-8813-544a92835c69\"",
        "PackageHash=\"DA39A3EE5E6B4B0D3255BFEF95601890AFD80709\"",
        "<CommittedScript ScriptId=\"1\" ServerName=\"s\" />",
        "<Comment>fine</Comment>",
        "xmlns:x=\"urn:x\"",
    ] {
        assert!(text.contains(kept), "{kept} is not in {text}");
    }
    assert!(text.find("Name=\"1\"") < text.find("Name=\"2\""));
}

#[test]
fn a_rewrite_keeps_what_containers_hold_and_what_cannot_be_read() {
    let xml = manifest(
        "<Script FileName='a.sql' BuildOrder='first' RollBackOnError='1' CausesBuildFailure='no' DateAdded='01/02/2009' \
         StripTransactionText='yes' AllowMultipleRuns='2' ScriptTimeOut='500.0' DateModified='then'>a note</Script>\
         <Script FileName='b.sql' ScriptTimeOut='0' DateModified='0001-01-01T00:00:00-05:00'>\n</Script>\
         <Group Name='g'><Script FileName='no.sql'/></Group>",
    )
    .replace("<Scripts>", "<Scripts xmlns:i='urn:i' i:Order='manual' Count='2'>")
    .replace("<Builds />", "<Builds Kept='all'/><Scripts Count='3' More='4'/>")
    .replace("<SqlSyncBuildProject>", "<SqlSyncBuildProject ProjectName='first'>")
    .replace(
        "</SqlSyncBuildData>",
        "<SqlSyncBuildProject ProjectName='second' Owner='me'><Scripts><Script FileName='c.sql'/></Scripts>\
         </SqlSyncBuildProject></SqlSyncBuildData>",
    );
    let package = open(xml).unwrap();
    assert_eq!(files(&package), ["a.sql", "b.sql", "c.sql"]);
    let names = ["a.sql", "b.sql", "c.sql"].map(str::to_owned);
    let text = crate::package::manifest_write::write(&package, &names);
    for kept in [
        "BuildOrder=\"first\"",
        "RollBackOnError=\"1\" CausesBuildFailure=\"no\" DateAdded=\"01/02/2009\"",
        "StripTransactionText=\"yes\" AllowMultipleRuns=\"2\"",
        "ScriptTimeOut=\"500.0\" DateModified=\"then\"",
        ">a note</Script>",
        "ScriptTimeOut=\"0\" DateModified=\"0001-01-01T00:00:00\" ModifiedBy=\"\" Tag=\"\" />",
        "<Scripts xmlns:i=\"urn:i\" i:Order=\"manual\" Count=\"2\" More=\"4\">",
        "<Group Name=\"g\">\r\n        <Script FileName=\"no.sql\" />\r\n      </Group>\r\n    </Scripts>",
        "<Builds Kept=\"all\" />",
        "<SqlSyncBuildProject ProjectName=\"second\" Owner=\"me\" />",
    ] {
        assert!(text.contains(kept), "{kept} is not in {text}");
    }
    let again = open(&text).unwrap();
    assert_eq!(crate::package::manifest_write::write(&again, &names), text);
}

#[test]
fn a_readable_value_takes_the_place_of_an_unreadable_one() {
    let xml =
        manifest("<Script FileName='a.sql' BuildOrder='x' RollBackOnError='x' ScriptTimeOut='x'/>");
    let mut package = open(xml).unwrap();
    let script = &mut package.scripts[0];
    script.order = Some(2.0);
    script.roll_back_on_error = false;
    script.timeout = Some(Duration::from_secs(3));
    let text = crate::package::manifest_write::write(&package, &["a.sql".to_owned()]);
    assert!(!text.contains("=\"x\""), "{text}");
}

#[test]
fn several_projects_are_one_package() {
    let xml = manifest("<Script FileName='a.sql' BuildOrder='2'/>").replace(
        "</SqlSyncBuildData>",
        "<SqlSyncBuildProject><Scripts/><Scripts><Script FileName='b.sql' BuildOrder='1'/></Scripts>\
         </SqlSyncBuildProject></SqlSyncBuildData>",
    );
    assert_eq!(files(&open(xml).unwrap()), ["b.sql", "a.sql"]);
}

#[test]
fn a_new_manifest_looks_like_the_reference_program_s() {
    let mut script = crate::package::Script::new("a & b.sql", Vec::new());
    script.order = Some(1.5);
    script.id = uuid::Uuid::nil();
    script.database = "client".into();
    script.timeout = Some(Duration::from_secs(500));
    script.provenance.date_added = crate::package::Moment::parse("2026-02-18T12:00:00.5-05:00");
    script.provenance.added_by = "me".into();
    let package = Package {
        scripts: vec![script],
        ..Package::default()
    };
    assert_eq!(
        crate::package::manifest_write::write(&package, &["a & b.sql".into()]),
        "\u{FEFF}<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\r\n\
         <SqlSyncBuildData xmlns=\"http://schemas.mckechney.com/SqlSyncBuildProject.xsd\">\r\n\
         \x20 <SqlSyncBuildProject ProjectName=\"\" ScriptTagRequired=\"false\">\r\n\
         \x20   <Scripts>\r\n\
         \x20     <Script FileName=\"a &amp; b.sql\" BuildOrder=\"1.5\" Description=\"\" RollBackOnError=\"true\" \
         CausesBuildFailure=\"true\" DateAdded=\"2026-02-18T12:00:00.5-05:00\" \
         ScriptId=\"00000000-0000-0000-0000-000000000000\" Database=\"client\" StripTransactionText=\"false\" \
         AllowMultipleRuns=\"true\" AddedBy=\"me\" ScriptTimeOut=\"500\" DateModified=\"0001-01-01T00:00:00\" \
         ModifiedBy=\"\" Tag=\"\" />\r\n\
         \x20   </Scripts>\r\n\
         \x20   <Builds />\r\n\
         \x20 </SqlSyncBuildProject>\r\n\
         </SqlSyncBuildData>"
    );
}

#[test]
fn attributes_of_the_root_are_kept() {
    let xml = manifest("").replace(
        "<SqlSyncBuildData ",
        "<SqlSyncBuildData xmlns:i='urn:i' i:schemaLocation='a b' version='3' ",
    );
    let text = crate::package::manifest_write::write(&open(xml).unwrap(), &[]);
    assert!(
        text.contains("xmlns:i=\"urn:i\" i:schemaLocation=\"a b\" version=\"3\">"),
        "{text}"
    );
}

#[test]
fn a_character_that_xml_cannot_hold_is_the_same_before_and_after_a_rewrite() {
    let xml = manifest(
        "<Script FileName='a.sql' Database='c&#1;' Description='&#xFFFF;'><N>&#2;</N></Script>",
    );
    let package = open(xml).unwrap();
    assert_eq!(package.scripts[0].database, "c\u{FFFD}");
    let bytes = package.to_sbm().unwrap();
    let again = Package::from_sbm(&bytes, "p.sbx", &Limits::default()).unwrap();
    assert_eq!(again.sha256(), package.sha256());
    assert_eq!(again.scripts[0].provenance, package.scripts[0].provenance);
}
