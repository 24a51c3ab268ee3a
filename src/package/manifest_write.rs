//! `SqlSyncBuildProject.xml`: the manifest of a package, written.

use uuid::Uuid;

use super::{
    Package, Script,
    manifest::{NAMESPACE, PATH},
    script::derived_id,
    xml::{Attribute, Element, Node},
    xml_write,
};

/// A date that old readers take for "never".
const NEVER: &str = "0001-01-01T00:00:00";

/// The manifest of `package`, whose scripts are stored under `file_names`.
pub(super) fn write(package: &Package, file_names: &[String]) -> String {
    let record = &package.record;
    let mut scripts = Element::new("Scripts", NAMESPACE);
    scripts.children = package
        .scripts
        .iter()
        .zip(file_names)
        .map(|(script, file_name)| Node::Element(script_element(script, file_name)))
        .collect();
    let mut builds = Element::new("Builds", NAMESPACE);
    builds.children = sorted_builds(&record.builds);
    let mut project = Element::new("SqlSyncBuildProject", NAMESPACE);
    project.attributes.clone_from(&record.project_attributes);
    if project.attributes.is_empty() {
        project.push("ProjectName", "");
        project.push("ScriptTagRequired", "false");
    }
    project.children = vec![Node::Element(scripts), Node::Element(builds)];
    project.children.extend(nodes(&record.project_elements));
    let mut root = Element::new("SqlSyncBuildData", NAMESPACE);
    root.attributes.clone_from(&record.root_attributes);
    root.children.push(Node::Element(project));
    root.children.extend(nodes(&record.root_elements));
    xml_write::document(&root)
}

fn nodes(elements: &[Element]) -> impl Iterator<Item = Node> {
    elements.iter().cloned().map(Node::Element)
}

fn script_element(script: &Script, file_name: &str) -> Element {
    let mut element = Element::new("Script", NAMESPACE);
    let provenance = &script.provenance;
    let flag = |value: bool| if value { "true" } else { "false" };
    element.push("FileName", file_name);
    if let Some(order) = script.order {
        element.push("BuildOrder", order.to_string());
    }
    element.push("Description", &script.description);
    element.push("RollBackOnError", flag(script.roll_back_on_error));
    element.push("CausesBuildFailure", flag(script.causes_build_failure));
    if let Some(date) = provenance.date_added {
        element.push("DateAdded", date.to_string());
    }
    element.push("ScriptId", script.id.to_string());
    element.push("Database", &script.database);
    element.push("StripTransactionText", flag(script.strip_transaction_text));
    element.push("AllowMultipleRuns", flag(script.allow_multiple_runs));
    element.push("AddedBy", &provenance.added_by);
    if let Some(timeout) = script.timeout {
        element.push("ScriptTimeOut", timeout.as_secs().to_string());
    }
    let modified = provenance.date_modified.map(|date| date.to_string());
    element.push("DateModified", modified.unwrap_or_else(|| NEVER.to_owned()));
    element.push("ModifiedBy", &provenance.modified_by);
    element.push("Tag", &script.tag);
    if script.file != file_name {
        element.push(PATH, &script.file);
    }
    element
        .attributes
        .extend(provenance.unknown_attributes.iter().cloned());
    element.children = nodes(&provenance.unknown_elements).collect();
    element
}

/// The builds by their start, those without one first, each with a GUID of its own.
fn sorted_builds(builds: &[Element]) -> Vec<Node> {
    let mut builds: Vec<Element> = builds.iter().cloned().map(with_build_id).collect();
    builds.sort_by_key(|build| {
        let start = value(build, "BuildStart").and_then(super::Moment::parse);
        start.map(|start| start.shown_in(&jiff::tz::TimeZone::UTC))
    });
    builds.into_iter().map(Node::Element).collect()
}

/// The reference program writes the package hash as id, which two runs of one package share. The hash moves to an
/// attribute of its own, and the id becomes a GUID that a second rewrite finds unchanged.
fn with_build_id(mut build: Element) -> Element {
    let parts = ["Name", "BuildStart", "ServerName", "BuildId"].map(|name| value(&build, name));
    let parts = parts.map(|part| part.unwrap_or_default().as_bytes());
    let id = derived_id(&parts.each_ref().map(|part| *part)).to_string();
    let Some(attribute) = build
        .attributes
        .iter_mut()
        .find(|attribute| attribute.name == "BuildId")
    else {
        return build;
    };
    if Uuid::try_parse(&attribute.value).is_ok() {
        return build;
    }
    let hash = std::mem::replace(&mut attribute.value, id);
    if !hash.is_empty() && value(&build, "PackageHash").is_none() {
        build.push("PackageHash", hash);
    }
    build
}

fn value<'a>(element: &'a Element, name: &str) -> Option<&'a str> {
    element
        .attributes
        .iter()
        .find(|attribute: &&Attribute| attribute.name == name)
        .map(|attribute| attribute.value.as_str())
}
