//! Target lists that stand on the command line.

use crate::protocol::Target;

use super::{
    Faults, TargetList,
    cfg::{Problem, ServerFault, read_databases, read_lines, split_server, whole},
};

/// How faults name the list.
const NAME: &str = "--override";

/// Reads `server:default,database;…#tag`, one target per line.
///
/// With `server`, the value of `--server`, lines may leave their server out; one that names another server is a fault,
/// as only one of the two can be meant.
pub fn parse_inline(text: &str, server: Option<&str>) -> Result<TargetList, Faults> {
    let server = server.map(str::trim).filter(|server| !server.is_empty());
    let targets = whole(NAME, read_lines(text, |line| read_line(line, server)))?;
    Ok(TargetList {
        name: NAME.to_owned(),
        targets,
        faults: Vec::new(),
    })
}

fn read_line(line: &str, server: Option<&str>) -> Result<Target, Vec<Problem>> {
    match (split_server(line), server) {
        (Ok((own, databases)), None) => read_databases(own, databases),
        (Ok((own, databases)), Some(server)) if own.eq_ignore_ascii_case(server) => {
            read_databases(own, databases)
        }
        (Ok((own, _)), Some(server)) => Err(vec![Problem::new(
            line,
            format!(
                "the line names the server `{own}`, but --server is `{server}`; accepted is one of the two"
            ),
        )]),
        (Err(fault), Some(server)) if has_no_server(fault) => read_databases(server.into(), line),
        (Err(ServerFault::NoColon), None) => Err(vec![Problem::new(
            line,
            "no server is named; accepted are `server:default,database` and, with --server, `default,database`",
        )]),
        (Err(fault), _) => Err(vec![Problem::new(line, fault.to_string())]),
    }
}

/// Whether pairs and tag, which may hold a colon in quotes, stand where the server would.
fn has_no_server(fault: ServerFault) -> bool {
    matches!(
        fault,
        ServerFault::NoColon | ServerFault::Hash | ServerFault::Semicolon | ServerFault::Comma
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::format_line;

    fn lines(text: &str, server: Option<&str>) -> Result<Vec<String>, String> {
        let list = parse_inline(text, server).map_err(|faults| faults.to_string())?;
        assert_eq!(list.name, "--override");
        Ok(list
            .targets
            .iter()
            .map(|listed| format_line(&listed.target))
            .collect())
    }

    #[test]
    fn lines_may_leave_out_the_server_that_the_command_line_names() {
        for (text, line) in [
            ("default,target", "h:default,target"),
            ("a,b;c,d#t", "h:a,b;c,d#t"),
            ("a,b#t:u", "h:a,b#t:u"),
            ("a,\"b:c\"", "h:a,\"b:c\""),
            ("a;b,\"c:d\"", "h:a;b,\"c:d\""),
            ("\"a:b\",c", "h:\"a:b\",c"),
            ("\"a:b\"", "h:\"a:b\""),
            ("H:a,b", "H:a,b"),
        ] {
            assert_eq!(
                lines(text, Some(" h ")),
                Ok(vec![line.to_owned()]),
                "{text}"
            );
        }
        let two = lines("h,1433:a,b\n\n\"h\" : c", Some("h,1433"));
        assert!(
            two.unwrap_err()
                .contains("line 3: `\"h\" : c`: the line names the server `h`")
        );
    }

    #[test]
    fn without_a_server_each_line_names_one() {
        let two = lines("h:a,b\ni:5432:c", None);
        assert_eq!(two, Ok(vec!["h:a,b".to_owned(), "i:5432:c".to_owned()]));
        for server in [None, Some(" ")] {
            let fault = lines("default,target", server).unwrap_err();
            assert!(fault.contains("no server is named"), "{fault}");
        }
    }

    #[test]
    fn faults_of_all_lines_are_named() {
        let fault = lines("a,b;\nx:y\n\"a", Some("h")).unwrap_err();
        assert!(
            fault.starts_with("3 faults in --override\n  line 1: `a,b;`: a pair has no name"),
            "{fault}"
        );
        assert!(
            fault.contains("\n  line 2: `x:y`: the line names the server `x`"),
            "{fault}"
        );
        assert!(
            fault.contains("\n  line 3: `\"a`: the quote is not closed"),
            "{fault}"
        );
    }
}
