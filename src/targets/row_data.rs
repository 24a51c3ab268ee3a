//! What the query that found a target told of its databases besides their names.

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowItem {
    /// The column; never shown in logs, as little as the value.
    pub column: String,
    /// The value as text.
    pub value: String,
}

/// The row that belongs to each pair of a target. No build needs it; query results begin with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowData {
    pairs: Vec<Vec<RowItem>>,
}

impl RowData {
    /// The rows of the pairs in their order.
    pub fn new(pairs: Vec<Vec<RowItem>>) -> Self {
        match pairs.iter().all(Vec::is_empty) {
            true => Self::default(),
            false => Self { pairs },
        }
    }

    /// The row of the pair at `index`; empty when there is none.
    pub fn of_pair(&self, index: usize) -> &[RowItem] {
        self.pairs.get(index).map_or(&[], Vec::as_slice)
    }

    /// Whether no pair has any.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}
