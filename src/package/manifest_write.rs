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
    scripts.attributes.clone_from(&record.scripts_attributes);
    scripts.children = package
        .scripts
        .iter()
        .zip(file_names)
        .map(|(script, file_name)| Node::Element(script_element(script, file_name)))
        .chain(nodes(&record.scripts_elements))
        .collect();
    let mut builds = Element::new("Builds", NAMESPACE);
    builds.attributes.clone_from(&record.builds_attributes);
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
    let further = record.further_projects.iter().map(|attributes| {
        Node::Element(Element {
            attributes: attributes.clone(),
            ..Element::new("SqlSyncBuildProject", NAMESPACE)
        })
    });
    root.children.extend(further);
    root.children.extend(nodes(&record.root_elements));
    xml_write::document(&root)
}

fn nodes(elements: &[Element]) -> impl Iterator<Item = Node> {
    elements.iter().cloned().map(Node::Element)
}

fn script_element(script: &Script, file_name: &str) -> Element {
    let mut element = Element::new("Script", NAMESPACE);
    let provenance = &script.provenance;
    // A value that could not be read stays as it was as long as nothing else is known.
    let written = |name: &str| {
        let mut unreadable = provenance.unreadable.iter();
        let found = unreadable.find(|attribute| attribute.name == name);
        found.map(|attribute| attribute.value.clone())
    };
    let flag = |element: &mut Element, name: &str, value: bool, default: bool| {
        let written = written(name).filter(|_| value == default);
        element.push(name, written.unwrap_or_else(|| value.to_string()));
    };
    element.push("FileName", file_name);
    let order = script.order.map(|order| order.to_string());
    if let Some(order) = order.or_else(|| written("BuildOrder")) {
        element.push("BuildOrder", order);
    }
    element.push("Description", &script.description);
    flag(
        &mut element,
        "RollBackOnError",
        script.roll_back_on_error,
        true,
    );
    flag(
        &mut element,
        "CausesBuildFailure",
        script.causes_build_failure,
        true,
    );
    let added = provenance.date_added.map(|date| date.to_string());
    if let Some(date) = added.or_else(|| written("DateAdded")) {
        element.push("DateAdded", date);
    }
    element.push("ScriptId", script.id.to_string());
    element.push("Database", &script.database);
    flag(
        &mut element,
        "StripTransactionText",
        script.strip_transaction_text,
        false,
    );
    flag(
        &mut element,
        "AllowMultipleRuns",
        script.allow_multiple_runs,
        true,
    );
    element.push("AddedBy", &provenance.added_by);
    let timeout = script.timeout.map(|timeout| timeout.as_secs().to_string());
    if let Some(timeout) = timeout.or_else(|| written("ScriptTimeOut")) {
        element.push("ScriptTimeOut", timeout);
    }
    let modified = provenance.date_modified.map(|date| date.to_string());
    let modified = modified.or_else(|| written("DateModified"));
    element.push("DateModified", modified.unwrap_or_else(|| NEVER.to_owned()));
    element.push("ModifiedBy", &provenance.modified_by);
    element.push("Tag", &script.tag);
    if script.file != file_name {
        element.push(PATH, &script.file);
    }
    element
        .attributes
        .extend(provenance.unknown_attributes.iter().cloned());
    element.children.clone_from(&provenance.unknown_content);
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
