//! Writing the trees of [`super::xml`] in the form that the reference program writes.

use std::collections::BTreeMap;

use super::xml::{Attribute, Element, Node};

/// A whole document: byte order mark, declaration, two spaces of indent, CRLF, no line end at the end.
pub(super) fn document(root: &Element) -> String {
    let mut text =
        String::from("\u{FEFF}<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>");
    write_element(&mut text, root, "", Some(0));
    text
}

/// Writes `element` into a parent with `outer` as default namespace; on a line of its own when it has an indent.
fn write_element(text: &mut String, element: &Element, outer: &str, indent: Option<usize>) {
    new_line(text, indent);
    text.push('<');
    text.push_str(&element.name);
    if element.namespace != outer {
        write_attribute(text, "xmlns", &element.namespace);
    }
    for (prefix, namespace) in prefixes(&element.attributes) {
        write_attribute(text, &format!("xmlns:{prefix}"), namespace);
    }
    for attribute in &element.attributes {
        write_attribute(text, &attribute.name, &attribute.value);
    }
    if element.children.is_empty() {
        text.push_str(" />");
        return;
    }
    text.push('>');
    let inner = indent.filter(|_| holds_only_elements(element));
    for child in &element.children {
        match child {
            Node::Element(child) => {
                let indent = inner.map(|indent| indent + 1);
                write_element(text, child, &element.namespace, indent);
            }
            Node::Text(content) if inner.is_none() => escape_text(text, content),
            // Blanks between elements are indents, which are made anew.
            Node::Text(_) => {}
        }
    }
    new_line(text, inner);
    text.push_str("</");
    text.push_str(&element.name);
    text.push('>');
}

fn new_line(text: &mut String, indent: Option<usize>) {
    if let Some(indent) = indent {
        text.push_str("\r\n");
        text.extend(std::iter::repeat_n("  ", indent));
    }
}

/// Whether there are elements, and nothing but blanks between them.
fn holds_only_elements(element: &Element) -> bool {
    let blank = |node: &Node| matches!(node, Node::Text(text) if text.trim().is_empty());
    let is_element = |node: &Node| matches!(node, Node::Element(_));
    element.children.iter().any(is_element)
        && element
            .children
            .iter()
            .all(|node| is_element(node) || blank(node))
}

/// The prefixes that the attributes need declared; `xml` is known everywhere.
fn prefixes(attributes: &[Attribute]) -> BTreeMap<&str, &str> {
    attributes
        .iter()
        .filter_map(|attribute| {
            let (prefix, _) = attribute.name.split_once(':')?;
            (prefix != "xml").then_some((prefix, attribute.namespace.as_str()))
        })
        .collect()
}

fn write_attribute(text: &mut String, name: &str, value: &str) {
    text.push(' ');
    text.push_str(name);
    text.push_str("=\"");
    for character in value.chars() {
        match character {
            '"' => text.push_str("&quot;"),
            // Readers turn these into spaces when they stand by themselves.
            '\t' => text.push_str("&#x9;"),
            '\n' => text.push_str("&#xA;"),
            other => escape(text, other),
        }
    }
    text.push('"');
}

fn escape_text(text: &mut String, content: &str) {
    for character in content.chars() {
        match character {
            '\n' => text.push_str("\r\n"),
            other => escape(text, other),
        }
    }
}

fn escape(text: &mut String, character: char) {
    match character {
        '&' => text.push_str("&amp;"),
        '<' => text.push_str("&lt;"),
        '>' => text.push_str("&gt;"),
        '\r' => text.push_str("&#xD;"),
        other if is_legal(other) => text.push(other),
        _ => text.push(char::REPLACEMENT_CHARACTER),
    }
}

/// Whether XML 1.0 can hold the character at all.
pub(super) fn is_legal(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::{Fault, xml::parse};

    #[test]
    fn a_document_is_laid_out_as_by_the_reference_program() {
        let root = parse("<a xmlns='urn:x' b='1 &#xA;&lt;\"'><c/>\n<d>x&amp;y\nz</d></a>").unwrap();
        assert_eq!(
            document(&root),
            "\u{FEFF}<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\r\n\
             <a xmlns=\"urn:x\" b=\"1 &#xA;&lt;&quot;\">\r\n  <c />\r\n  <d>x&amp;y\r\nz</d>\r\n</a>"
        );
    }

    #[test]
    fn a_document_survives_writing_and_reading() {
        for text in [
            "<a/>",
            "<p:a xmlns:p='urn:x' xmlns:q='urn:y' q:b='1' xml:lang='en'><c xmlns='urn:z'/><d/></p:a>",
            "<a>mixed <b>text</b> &#xD; and <c/> more</a>",
            "<a b='&#x9;&#xA;&#xD; x'><![CDATA[<&>]]></a>",
        ] {
            let root = parse(text).unwrap();
            let written = document(&root);
            let again = parse(written.trim_start_matches('\u{FEFF}')).unwrap();
            assert_eq!(document(&again), written, "{text}");
            assert_eq!(again.attributes, root.attributes);
        }
    }

    #[test]
    fn documents_with_tricks_or_damage_are_refused() {
        for text in [
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
            "<a>&x;</a>",
            "<a b='&x;'/>",
        ] {
            let fault = parse(text).unwrap_err();
            assert!(matches!(fault, Fault::Entities { .. }), "{text}: {fault}");
        }
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        for text in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a b='1' b='2'/>",
            "<a b=1/>",
            "<p:a/>",
            "<a>&#x110000;</a>",
            "<a><!-- -- --></a>",
            "<?xml version='1.0' encoding='windows-1252'?><a/>",
            &deep,
        ] {
            let fault = parse(text).unwrap_err();
            assert!(matches!(fault, Fault::Xml { .. }), "{text}: {fault}");
        }
    }
}
