//! Table options in a schema's CQL text, and which tables keep out of incremental backups.
//!
//! 5.0 has a table option `incremental_backups`; with `false` nothing of the table is linked,
//! whatever the node says. 4.x knows no such option.

use std::iter::Peekable;
use std::str::Chars;

use super::table_name::TableName;

/// The tables that keep out of incremental backups, as far as it can be seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Coverage {
    /// Those that are known to.
    pub off: Vec<NotCovered>,
    /// Tables of which no snapshot holds the schema, so that nothing is known.
    pub unseen: u64,
}

/// A table whose schema says `incremental_backups = false`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct NotCovered {
    /// Keyspace.
    pub keyspace: String,
    /// Table.
    pub table: String,
    /// The newest snapshot that says so; `None`: Cassandra itself does.
    pub since: Option<String>,
}

impl NotCovered {
    /// Whether it is that table.
    pub fn is(&self, table: &TableName) -> bool {
        self.keyspace == table.keyspace() && self.table == table.table()
    }
}

/// Returns what a snapshot's `schema.cql` says of `keyspace.table`: whether incremental backups
/// are on for it. `None` when the table's statement is not in it, or not whole.
pub fn is_covered(cql: &str, keyspace: &str, table: &str) -> Option<bool> {
    let tokens: Vec<Token> = Tokens(cql.chars().peekable()).collect();
    tokens
        .split_inclusive(|token| *token == Token::Sign(';'))
        .filter(|statement| statement.last() == Some(&Token::Sign(';')))
        .find_map(|statement| of_statement(statement, keyspace, table))
}

fn of_statement(statement: &[Token], keyspace: &str, table: &str) -> Option<bool> {
    let mut rest = statement.strip_prefix(&[Token::word("create")])?;
    for word in ["materialized", "table", "view", "if", "not", "exists"] {
        rest = rest.strip_prefix(&[Token::word(word)]).unwrap_or(rest);
    }
    let [first, Token::Sign('.'), second, options @ ..] = rest else { return None };
    if !first.names(keyspace) || !second.names(table) {
        return None;
    }
    let mut depth = 0_i32;
    for (at, token) in options.iter().enumerate() {
        match token {
            Token::Sign('(' | '{' | '[') => depth += 1,
            Token::Sign(')' | '}' | ']') => depth -= 1,
            Token::Word(word) if depth == 0 && word == "incremental_backups" => {
                let [Token::Sign('='), Token::Word(value) | Token::Text(value), ..] =
                    &options[at + 1..]
                else {
                    return None;
                };
                return match value.to_ascii_lowercase().as_str() {
                    "false" => Some(false),
                    "true" => Some(true),
                    _ => None,
                };
            }
            Token::Sign(_) | Token::Word(_) | Token::Name(_) | Token::Text(_) => {}
        }
    }
    // Before 5.0 there is no such option, and every table is covered.
    Some(true)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Without quotes: upper case does not count.
    Word(String),
    /// In double quotes.
    Name(String),
    /// In single quotes.
    Text(String),
    Sign(char),
}

impl Token {
    fn word(word: &str) -> Self {
        Self::Word(word.to_owned())
    }

    fn names(&self, name: &str) -> bool {
        match self {
            Self::Word(word) => word == name,
            Self::Name(word) => word == name,
            Self::Text(_) | Self::Sign(_) => false,
        }
    }
}

struct Tokens<'a>(Peekable<Chars<'a>>);

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let c = self.0.next()?;
            match (c, self.0.peek()) {
                ('-', Some('-')) | ('/', Some('/')) => {
                    while self.0.next().is_some_and(|c| c != '\n') {}
                }
                ('/', Some('*')) => self.skip_comment(),
                ('\'', _) => return Some(Token::Text(self.quoted('\''))),
                ('"', _) => return Some(Token::Name(self.quoted('"'))),
                (c, _) if c.is_whitespace() => {}
                (c, _) if is_of_word(c) => return Some(Token::Word(self.word(c))),
                (c, _) => return Some(Token::Sign(c)),
            }
        }
    }
}

impl Tokens<'_> {
    fn skip_comment(&mut self) {
        self.0.next();
        let mut last = ' ';
        for c in self.0.by_ref() {
            if (last, c) == ('*', '/') {
                return;
            }
            last = c;
        }
    }

    /// Reads up to the closing mark; two of them are one.
    fn quoted(&mut self, mark: char) -> String {
        let mut text = String::new();
        while let Some(c) = self.0.next() {
            if c == mark && self.0.next_if_eq(&mark).is_none() {
                break;
            }
            text.push(c);
        }
        text
    }

    fn word(&mut self, first: char) -> String {
        let mut word = first.to_ascii_lowercase().to_string();
        while let Some(c) = self.0.next_if(|c| is_of_word(*c)) {
            word.push(c.to_ascii_lowercase());
        }
        word
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Reads cqlsh's table of keyspace, table and option.
///
/// # Errors
/// With a line that is not of such a table, or when rows are missing.
pub fn parse_cqlsh(text: &str) -> Result<Vec<NotCovered>, String> {
    let fields = |line: &str| line.split('|').map(|f| f.trim().to_owned()).collect::<Vec<_>>();
    let is_head =
        |line: &&str| fields(line) == ["keyspace_name", "table_name", "incremental_backups"];
    // Remarks on versions and paging come first.
    let table = text.lines().skip_while(|line| !is_head(line));
    let (mut off, mut rows, mut told) = (Vec::new(), 0_u64, None);
    for line in table.map(str::trim).filter(|line| !line.is_empty()) {
        let odd = || crate::text::one_line(line.as_bytes(), 200);
        if let Some(count) = line.strip_prefix('(').and_then(|rest| rest.strip_suffix(" rows)")) {
            told = count.parse().ok();
            continue;
        }
        // The head is printed again for each page.
        if is_head(&line) || line.bytes().all(|byte| matches!(byte, b'-' | b'+')) {
            continue;
        }
        let [keyspace, table, value] = <[String; 3]>::try_from(fields(line)).map_err(|_| odd())?;
        rows += 1;
        match value.as_str() {
            "False" => off.push(NotCovered {
                keyspace: crate::text::visible(&keyspace),
                table: crate::text::visible(&table),
                since: None,
            }),
            // A table whose option was never set has no value, and the default is on.
            "True" | "null" => {}
            _ => return Err(odd()),
        }
    }
    if told == Some(rows) {
        off.sort();
        Ok(off)
    } else {
        Err(format!("{rows} rows came, not what was told at the end"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "/* a; */ -- 'b\n\
        CREATE TYPE IF NOT EXISTS shop.place (street text);\n\
        CREATE TABLE IF NOT EXISTS shop.\"Odd\"\"One\" (\n id int PRIMARY KEY,\n incremental_backups boolean\n\
        ) WITH ID = 6a1adbe0-6a02-11f1-8474-2b61a3e0ec16\n\
        AND comment = 'it''s; incremental_backups = true'\n\
        AND caching = {'keys': 'ALL', 'rows_per_partition': 'NONE'}\n\
        AND incremental_backups = false\n AND memtable = 'default';\n\
        CREATE INDEX x ON shop.\"Odd\"\"One\" (id);\n\
        CREATE TABLE shop.orders (id int PRIMARY KEY) WITH incremental_backups = TRUE;\n\
        CREATE MATERIALIZED VIEW IF NOT EXISTS shop.by_day AS SELECT * FROM shop.orders\n\
        WHERE id IS NOT NULL PRIMARY KEY (id) WITH INCREMENTAL_BACKUPS = 'false';\n\
        CREATE TABLE shop.old (id int PRIMARY KEY) WITH comment = '';\n\
        CREATE TABLE shop.cut (id int PRIMARY KEY) WITH incremental_backups = fal";

    #[test]
    fn the_option_of_a_table_is_found_and_nothing_else_is() {
        let covered = |table| is_covered(SCHEMA, "shop", table);
        assert_eq!(covered("Odd\"One"), Some(false));
        assert_eq!(covered("orders"), Some(true));
        assert_eq!(covered("by_day"), Some(false));
        assert_eq!(covered("old"), Some(true), "4.x has no such option");
        assert_eq!(covered("cut"), None, "a statement that is not whole");
        assert_eq!(covered("absent"), None);
        assert_eq!(is_covered(SCHEMA, "other", "orders"), None);
    }

    #[test]
    fn text_without_end_is_read_to_its_end() {
        for text in ["'", "\"", "/*", "--", "CREATE TABLE", "CREATE TABLE a.b (;", ";;;"] {
            let _ = is_covered(text, "a", "b");
        }
    }

    #[test]
    fn a_table_of_cqlsh_is_read_whole_or_not_at_all() {
        let text = "PAGING set to OFF\n\n keyspace_name | table_name | incremental_backups\n\
            ---------------+------------+---------------------\n\
            \x20         shop |     orders |                True\n\
            \x20         shop |       logs |               False\n\n(2 rows)\n";
        let off = parse_cqlsh(text).expect("a table");
        assert_eq!(off.len(), 1);
        assert!(off[0].is(&TableName::parse("shop.logs").expect("a name")));
        assert!(parse_cqlsh(&text.replace("(2 rows)", "(3 rows)")).is_err());
        assert!(parse_cqlsh(&text.replace("False", "maybe")).is_err());
        assert!(parse_cqlsh("").is_err());
    }
}
