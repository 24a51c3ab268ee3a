//! Whether a text is one query that only reads, as far as its words tell.
//!
//! This is the first of two doors: the engine then runs the text where the server itself refuses to change anything, or in a
//! transaction that is proved and rolled back. SQL Server has no read-only transactions, and its statements need no
//! separators, so there the words decide more.

use std::ops::Range;

use super::{
    Dialect, Lexer, TokenKind, statements,
    words::{Code, code, plain_code},
};

/// Where the one query of `text` is, without separators, comments and `GO` around it; otherwise, why it is none.
pub fn single_query(text: &str, dialect: Dialect) -> Result<Range<usize>, String> {
    let found = statements(text, dialect);
    let range = match found.as_slice() {
        [] => return Err("it holds no statement".into()),
        [one] => one.clone(),
        many => {
            return Err(format!(
                "it holds {} statements where one is allowed",
                many.len()
            ));
        }
    };
    let statement = text.get(range.clone()).unwrap_or_default();
    if Lexer::new(statement, dialect).any(|token| token.kind.is_line()) {
        return Err("it holds a line for a client program".into());
    }
    let words: Vec<Code<'_>> = code(statement, dialect).collect();
    check_start(&words, dialect)?;
    match dialect {
        Dialect::TSql => check_tsql(&words)?,
        Dialect::MySql => {
            refuse(&words, &["INTO"])?;
            if plain_code(statement, dialect).any(|word| word.kind == TokenKind::ExecutableComment)
            {
                return Err(
                    "it holds a comment that some servers run and others do not (`/*!`)".into(),
                );
            }
            // Behind a `DELIMITER`.
            if words.iter().any(|word| word.kind == TokenKind::Separator) {
                return Err("it holds several statements where one is allowed".into());
            }
        }
        Dialect::Postgres | Dialect::Sqlite => {}
    }
    Ok(range)
}

/// What a query starts with, behind opening brackets.
fn starts(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::TSql => &["SELECT", "WITH"],
        Dialect::Postgres => &["SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"],
        Dialect::MySql => &[
            "SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN", "DESCRIBE", "DESC",
        ],
        Dialect::Sqlite => &["SELECT", "WITH", "VALUES", "EXPLAIN"],
    }
}

fn check_start(words: &[Code<'_>], dialect: Dialect) -> Result<(), String> {
    let allowed = starts(dialect);
    let first = words.iter().find(|word| !word.is_mark("("));
    if first.is_some_and(|word| word.is_one_of(allowed)) {
        return Ok(());
    }
    Err(format!(
        "it starts with `{}`; a query starts with {}",
        first.map_or_else(String::new, |word| shown(word.text)),
        allowed.join(", ")
    ))
}

/// Reserved words of T-SQL that begin a statement, or that make one change something. None of them can be a name, an alias or
/// a part of a query, so each is the start of a second statement.
const TSQL_REFUSED: &[&str] = &[
    "ALTER",
    "BACKUP",
    "BEGIN",
    "BREAK",
    "BULK",
    "CHECKPOINT",
    "CLOSE",
    "COMMIT",
    "CONTINUE",
    "CREATE",
    "DBCC",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DENY",
    "DROP",
    "DUMP",
    "EXEC",
    "EXECUTE",
    "GOTO",
    "GRANT",
    "IF",
    "INSERT",
    "INTO",
    "KILL",
    "LINENO",
    "LOAD",
    "OPEN",
    "OPENDATASOURCE",
    "OPENQUERY",
    "OPENROWSET",
    "PRINT",
    "RAISERROR",
    "READTEXT",
    "RECONFIGURE",
    "RESTORE",
    "RETURN",
    "REVERT",
    "REVOKE",
    "ROLLBACK",
    "SAVE",
    "SET",
    "SETUSER",
    "SHUTDOWN",
    "TRUNCATE",
    "UPDATE",
    "UPDATETEXT",
    "WAITFOR",
    "WHILE",
    "WRITETEXT",
];

fn check_tsql(words: &[Code<'_>]) -> Result<(), String> {
    refuse(words, TSQL_REFUSED)?;
    for (index, word) in words.iter().enumerate() {
        let next = |keywords| {
            words
                .get(index + 1)
                .is_some_and(|next| next.is_one_of(keywords))
        };
        // As hints of a query these are no statements.
        let statement = (word.is("MERGE") && !next(&["JOIN", "UNION"]))
            || (word.is("USE") && !next(&["HINT", "PLAN"]));
        if statement {
            return Err(refusal(word));
        }
        if word.is("NEXT") && next(&["VALUE"]) {
            return Err("`NEXT VALUE FOR` uses up a number of a sequence".into());
        }
        // What the server takes for a blank would hide a word from the list.
        let odd = |character: char| {
            !character.is_alphanumeric() && !"_@#$".contains(character) && !is_mark(character)
        };
        if word.kind == TokenKind::Word && word.text.contains(odd) {
            return Err(format!(
                "`{}` holds a character that no name or keyword has",
                shown(word.text)
            ));
        }
    }
    Ok(())
}

/// Whether it is an accent or the like, which names may have.
fn is_mark(character: char) -> bool {
    use unicode_general_category::{GeneralCategory, get_general_category};
    matches!(
        get_general_category(character),
        GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark
    )
}

fn refuse(words: &[Code<'_>], keywords: &[&str]) -> Result<(), String> {
    match words.iter().find(|word| word.is_one_of(keywords)) {
        Some(word) => Err(refusal(word)),
        None => Ok(()),
    }
}

fn refusal(word: &Code<'_>) -> String {
    format!("`{}` is no part of a query that only reads", word.text)
}

/// The start of a word, in a line.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(30).collect();
    start.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(dialect: Dialect, texts: &[&str]) {
        for text in texts {
            assert!(
                single_query(text, dialect).is_ok(),
                "{dialect:?}: {text}: {:?}",
                single_query(text, dialect)
            );
        }
    }

    fn refused(dialect: Dialect, texts: &[&str]) {
        for text in texts {
            assert!(
                single_query(text, dialect).is_err(),
                "{dialect:?}: {text:?}"
            );
        }
    }

    #[test]
    fn words_in_comments_strings_and_names_are_no_statements() {
        for dialect in Dialect::ALL {
            allowed(
                dialect,
                &[
                    "SELECT 1",
                    "-- update x\nselect 'DELETE FROM t', 'it''s; x' /* insert into */ ;\n",
                    "(SELECT 1) UNION (SELECT 2)",
                    "with x as (select 1 as a) select * from x",
                    "SELECT last_update FROM t",
                ],
            );
            refused(
                dialect,
                &[
                    "",
                    " ; -- x",
                    "SELECT 1; SELECT 2",
                    "DELETE FROM t",
                    "delete/**/from t",
                    "UPDATE t SET a = 1",
                    "DROP TABLE t",
                    "/* SELECT */ TRUNCATE TABLE t",
                    "MERGE INTO t USING s ON 1 = 1",
                    "EXEC p",
                    "CALL p()",
                    "BEGIN",
                    "COMMIT",
                    "'SELECT'",
                ],
            );
        }
    }

    #[test]
    fn tsql_needs_no_separator_and_hides_no_second_statement() {
        allowed(
            Dialect::TSql,
            &[
                "SELECT [delete], \"update\" FROM t OPTION (MERGE JOIN, USE HINT ('x'))",
                "SELECT * FROM a INNER MERGE JOIN b ON a.i = b.i ORDER BY 1 OFFSET 1 ROWS FETCH NEXT 5 ROWS ONLY",
                "SELECT CASE WHEN 1 = 1 THEN 1 END, größe FROM t FOR JSON PATH",
                "SELECT 1\nGO\n",
                ";WITH x AS (SELECT 1 AS a) SELECT a FROM x",
            ],
        );
        refused(
            Dialect::TSql,
            &[
                "SELECT 1 DELETE FROM t",
                "SELECT 1 COMMIT",
                "SELECT 1 MERGE t USING s ON 1 = 1",
                "SELECT 1 USE master",
                "SELECT * INTO t FROM s",
                "SELECT NEXT VALUE FOR dbo.s",
                "SELECT * FROM OPENROWSET('x', 'y', 'DELETE')",
                "SELECT * FROM OPENQUERY(s, 'DELETE')",
                "WITH x AS (SELECT 1 AS a) DELETE FROM x",
                "SELECT 1\u{200b}COMMIT\u{200b}DELETE\u{200b}FROM t",
                "SELECT 1 EXEC sp_who",
                "SELECT 1\nGO\nSELECT 2",
                "VALUES (1)",
            ],
        );
    }

    #[test]
    fn mysql_writes_no_file_and_no_variable() {
        allowed(
            Dialect::MySql,
            &["SHOW TABLES", "DESC t", "SELECT `into` FROM t"],
        );
        refused(
            Dialect::MySql,
            &[
                "SELECT 1 INTO OUTFILE '/tmp/x'",
                "SELECT 1 INTO @a",
                "SELECT 1 /*!50000 INTO OUTFILE '/tmp/x' */",
                "/*! DELETE FROM t */",
                "/*!99999 SELECT */ DELETE FROM t",
                "SELECT 1 /*!99999 , 2 */",
            ],
        );
    }

    #[test]
    fn the_place_of_the_query_is_without_what_is_around_it() {
        let text = "-- note\nSELECT 1 ;\n";
        let range = single_query(text, Dialect::Postgres).unwrap();
        assert_eq!(text.get(range), Some("SELECT 1"));
    }

    #[test]
    fn what_only_a_client_understands_is_named() {
        let error = single_query("SELECT 1 \n\\gset", Dialect::Postgres).unwrap_err();
        assert!(
            error.contains("statements") || error.contains("client"),
            "{error}"
        );
        assert!(single_query("COPY t TO PROGRAM 'x'", Dialect::Postgres).is_err());
        let error = single_query("VACUUM", Dialect::Sqlite).unwrap_err();
        assert!(
            error.contains("`VACUUM`") && error.contains("SELECT"),
            "{error}"
        );
    }
}
