//! A table's full name, as an operator writes it: `keyspace.table`.

use std::fmt;

/// Cassandra takes no longer names (`SchemaConstants.NAME_LENGTH`).
const LONGEST_NAME: usize = 48;

/// A keyspace's and a table's name. Upper case counts, as in folders and in nodetool's arguments.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "(String, String)", into = "(String, String)")]
pub struct TableName {
    keyspace: String,
    table: String,
}

/// A text that names no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no keyspace.table: letters, digits and _ alone, at most 48 each")]
pub struct NoTable(String);

impl TableName {
    /// Reads `keyspace.table`; either may stand in double quotes, as CQL has names with upper case.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn parse(text: &str) -> Result<Self, NoTable> {
        let no_table = || NoTable(crate::text::one_line(text.as_bytes(), 120));
        let (keyspace, table) = text.split_once('.').ok_or_else(no_table)?;
        let bare = |name: &str| {
            let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
            inner.unwrap_or(name).to_owned()
        };
        Self::try_from((bare(keyspace), bare(table))).map_err(|_| no_table())
    }

    /// `system.size_estimates`: Cassandra writes it anew when it is told to, and it holds no
    /// user data.
    pub fn size_estimates() -> Self {
        Self { keyspace: "system".to_owned(), table: "size_estimates".to_owned() }
    }

    /// The keyspace.
    pub fn keyspace(&self) -> &str {
        &self.keyspace
    }

    /// The table.
    pub fn table(&self) -> &str {
        &self.table
    }
}

impl TryFrom<(String, String)> for TableName {
    type Error = NoTable;

    fn try_from((keyspace, table): (String, String)) -> Result<Self, NoTable> {
        let is_name = |name: &str| {
            (1..=LONGEST_NAME).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if is_name(&keyspace) && is_name(&table) {
            Ok(Self { keyspace, table })
        } else {
            let text = format!("{keyspace}.{table}");
            Err(NoTable(crate::text::one_line(text.as_bytes(), 120)))
        }
    }
}

impl From<TableName> for (String, String) {
    fn from(name: TableName) -> Self {
        (name.keyspace, name.table)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.keyspace, self.table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_words() {
        for text in ["shop.orders", "\"Shop\".\"Orders_2\"", "a.B"] {
            let name = TableName::parse(text).expect(text);
            assert_eq!(name.to_string(), text.replace('"', ""));
        }
    }

    #[test]
    fn nothing_else_is_one() {
        let long = format!("ks.{}", "x".repeat(49));
        for text in ["", ".", "shop", "shop.", ".orders", "a.b.c", "a.b-c", "a b.c", "a.'b'", &long]
        {
            assert!(TableName::parse(text).is_err(), "{text}");
        }
    }
}
