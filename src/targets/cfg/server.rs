//! Where the server ends in a `.cfg` line.
//!
//! The first `:` ends it, except the one of `tcp:`, the one of a Windows drive, those in the brackets of an IPv6 address,
//! and the one before a port: digits alone up to another `:`. So `host:5432:db` has a port, and `host:5432` is the
//! database `5432`.

use std::borrow::Cow;

use super::name::{NameFault, is_quoted, read_name};

/// Why a line has no server that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::targets) enum ServerFault {
    #[error("no `:` stands between server and databases; accepted is `server:default,database`")]
    NoColon,
    #[error(
        "no server stands before the `:`; accepted is `server:default,database`, with an IPv6 address in brackets"
    )]
    Empty,
    #[error("the server holds a `#`; a name with it is accepted in double quotes")]
    Hash,
    #[error("the server holds a `;`; a name with it is accepted in double quotes")]
    Semicolon,
    #[error(
        "the server holds a `,` that no port follows; accepted are `host,port` and names in double quotes"
    )]
    Comma,
    #[error("the port is none; accepted are 1 to 65535")]
    Port,
    #[error("{0}")]
    Name(#[from] NameFault),
}

/// The server and the text after its `:`.
pub(in crate::targets) fn split_server(line: &str) -> Result<(Cow<'_, str>, &str), ServerFault> {
    if is_quoted(line) {
        return split_quoted(line);
    }
    if let Some(scheme) = line.get(..4)
        && scheme.eq_ignore_ascii_case("tcp:")
        && let Some(rest) = line.get(4..)
        && let Ok((server, databases)) = split_plain(rest)
    {
        let whole = line.get(..4 + server.len()).unwrap_or(line);
        return Ok((Cow::Borrowed(whole.trim()), databases));
    }
    split_plain(line).map(|(server, databases)| (Cow::Borrowed(server.trim()), databases))
}

fn split_quoted(line: &str) -> Result<(Cow<'_, str>, &str), ServerFault> {
    let name = read_name(line, &super::name::SEPARATORS)?;
    let databases = name.rest.strip_prefix(':').ok_or(ServerFault::NoColon)?;
    if name.text.trim().is_empty() {
        return Err(ServerFault::Empty);
    }
    Ok((name.text, databases))
}

/// The server, with its blanks, and the text after its `:`.
fn split_plain(line: &str) -> Result<(&str, &str), ServerFault> {
    let (protected, open) = line.split_at(protected_length(line));
    let end = open.find([':', '#']).ok_or(ServerFault::NoColon)?;
    if open.get(end..).is_some_and(|rest| rest.starts_with('#')) {
        let has_colon = open.get(end..).is_some_and(|rest| rest.contains(':'));
        return Err(match has_colon {
            true => ServerFault::Hash,
            false => ServerFault::NoColon,
        });
    }
    let (host, rest) = line.split_at(protected.len() + end);
    let databases = rest.strip_prefix(':').unwrap_or(rest);
    check_host(host)?;
    let Some((port, after)) = port_and_rest(databases).filter(|_| !host.contains(',')) else {
        return Ok((host, databases));
    };
    check_port(port)?;
    let server = line.split_at(line.len() - after.len() - 1).0;
    Ok((server, after))
}

/// How many bytes at the start of a line hold colons that end no server: a drive or a bracketed address.
fn protected_length(line: &str) -> usize {
    let start = line.len() - line.trim_start().len();
    let rest = line.get(start..).unwrap_or(line);
    if rest.starts_with('[') {
        let end = rest.find([']', ',', ';', '#', '"']);
        let closed = end.filter(|end| rest.get(*end..).is_some_and(|tail| tail.starts_with(']')));
        return closed.map_or(start, |end| start + end + 1);
    }
    let verbatim = if rest.starts_with(r"\\?\") { 4 } else { 0 };
    match rest.as_bytes().get(verbatim..verbatim + 3) {
        Some([drive, b':', b'\\' | b'/']) if drive.is_ascii_alphabetic() => start + verbatim + 2,
        _ => start,
    }
}

fn check_host(host: &str) -> Result<(), ServerFault> {
    let host = host.trim();
    if host.is_empty() {
        return Err(ServerFault::Empty);
    }
    if host.contains(';') {
        return Err(ServerFault::Semicolon);
    }
    match host.rsplit_once(',') {
        None => Ok(()),
        Some((name, _)) if name.trim().is_empty() => Err(ServerFault::Empty),
        Some((name, _)) if name.contains(',') => Err(ServerFault::Comma),
        Some((_, port)) if is_digits(port.trim()) => check_port(port.trim()),
        Some(_) => Err(ServerFault::Comma),
    }
}

/// The digits up to a further `:`, and what follows that.
fn port_and_rest(databases: &str) -> Option<(&str, &str)> {
    let (port, rest) = databases.split_once(':')?;
    let port = port.trim();
    is_digits(port).then_some((port, rest))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_port(port: &str) -> Result<(), ServerFault> {
    match port.parse::<u16>() {
        Ok(1..) => Ok(()),
        _ => Err(ServerFault::Port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_ends_where_a_user_expects() {
        let cases = [
            ("host:db", "host", "db"),
            (" host : db", "host", " db"),
            ("host:5432:db", "host:5432", "db"),
            ("host : 5432 : db", "host : 5432", " db"),
            ("host:5432", "host", "5432"),
            ("host:5432,a", "host", "5432,a"),
            ("host:5432;a", "host", "5432;a"),
            ("host,1433:a,b", "host,1433", "a,b"),
            ("host,1433:1433:b", "host,1433", "1433:b"),
            ("tcp:host,1433:db", "tcp:host,1433", "db"),
            ("TCP:host:5432:db", "TCP:host:5432", "db"),
            ("tcp:db", "tcp", "db"),
            ("tcp:a,\"b:c\"", "tcp", "a,\"b:c\""),
            ("host\\inst:db", "host\\inst", "db"),
            ("host\\inst,1434:db", "host\\inst,1434", "db"),
            ("(local)\\SQLEXPRESS:db", "(local)\\SQLEXPRESS", "db"),
            ("[::1]:db", "[::1]", "db"),
            ("[::1]:5432:db", "[::1]:5432", "db"),
            ("[fe80::1%eth0],1433:db", "[fe80::1%eth0],1433", "db"),
            ("tcp:[::1],1433:db", "tcp:[::1],1433", "db"),
            ("C:\\dbs:a.db", "C:\\dbs", "a.db"),
            ("c:/dbs:a.db", "c:/dbs", "a.db"),
            ("\\\\?\\C:\\dbs:a.db", "\\\\?\\C:\\dbs", "a.db"),
            ("\\\\nas\\dbs:a.db", "\\\\nas\\dbs", "a.db"),
            ("/srv/dbs:a.db", "/srv/dbs", "a.db"),
            ("./dbs:a.db", "./dbs", "a.db"),
            ("c:db", "c", "db"),
            ("\"a:b#c\" : db", "a:b#c", " db"),
            ("\"h\":1:db", "h", "1:db"),
            ("hö:dö", "hö", "dö"),
        ];
        for (line, server, databases) in cases {
            let split = split_server(line);
            assert_eq!(split, Ok((server.into(), databases)), "{line}");
        }
    }

    #[test]
    fn lines_without_a_server_are_faults() {
        let cases = [
            ("host default,target", ServerFault::NoColon),
            ("host default#tag", ServerFault::NoColon),
            ("C:\\dbs", ServerFault::NoColon),
            ("[::1]", ServerFault::NoColon),
            (":db", ServerFault::Empty),
            ("::1:db", ServerFault::Empty),
            (",1433:db", ServerFault::Empty),
            ("\" \":db", ServerFault::Empty),
            ("a#b:c", ServerFault::Hash),
            ("a;b:c", ServerFault::Semicolon),
            ("a,b:c", ServerFault::Comma),
            ("a,b,1:c", ServerFault::Comma),
            ("host:65536:db", ServerFault::Port),
            ("host:0:db", ServerFault::Port),
            ("host,99999:db", ServerFault::Port),
            ("\"host\"", ServerFault::NoColon),
            ("\"host\",a", ServerFault::NoColon),
            ("\"host:db", ServerFault::Name(NameFault::Open)),
            ("\"host\"x:db", ServerFault::Name(NameFault::Trailing)),
        ];
        for (line, fault) in cases {
            assert_eq!(split_server(line), Err(fault), "{line}");
        }
    }
}
