//! Tables and edges as CSV text: what is written is read back bit by bit.

use std::path::Path;

use csv::{Writer, WriterBuilder};
use gfn_core::tensor_file::write_atomically;
use gfn_core::{Error, Place, Result};

use super::discrete::DiscreteTable;
use super::records::CsvFile;
use super::table::Table;
use crate::dag::Dag;

impl Table {
    /// The table as CSV, with a header. Numbers have as many digits as identify them.
    pub fn to_csv(&self) -> String {
        let row = |row: usize| self.columns().iter().map(move |column| format!("{:?}", column[row]));
        text(self.names(), (0..self.n_rows()).map(row))
    }

    /// Writes [`to_csv`](Self::to_csv) to a file, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        write_atomically(path, self.to_csv().as_bytes())
    }
}

impl DiscreteTable {
    /// The table as CSV, with a header and the names of the levels.
    pub fn to_csv(&self) -> String {
        let level =
            |(column, row): (usize, usize)| &self.levels()[column][usize::from(self.columns()[column][row])];
        let row = |row: usize| (0..self.n_columns()).map(move |column| level((column, row)));
        text(self.names(), (0..self.n_rows()).map(row))
    }

    /// Writes [`to_csv`](Self::to_csv) to a file, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        write_atomically(path, self.to_csv().as_bytes())
    }
}

/// The edges of a graph as CSV with the columns `from` and `to`, in the order of the bit string; `names[v]` is node v.
///
/// Panics unless there is a name for every node.
pub fn edges_csv(dag: &Dag, names: &[String]) -> String {
    assert_eq!(names.len(), dag.n_nodes(), "one name for each node");
    text(["from", "to"], dag.edges().map(|(from, to)| [&names[from], &names[to]]))
}

/// Reads the graph of a CSV file with the columns `from` and `to`, by names of variables. A header alone is the graph
/// without edges.
///
/// # Errors
/// A file that cannot be read or has other columns; names that are no variables; an edge that occurs twice or closes a
/// cycle; more than 64 names.
pub fn read_edges(path: &Path, names: &[String]) -> Result<Dag> {
    let file = CsvFile::open(path)?;
    let columns = ["from", "to"].map(String::from);
    let positions = file.positions(&columns, "a list of edges")?;
    let mut dag = Dag::empty(names.len())?;
    file.visit_rows_or_none(|row| {
        let node = |position: usize| {
            let name = row.cell(position)?;
            names.iter().position(|own| own == name).ok_or_else(|| {
                let expected = format!("a variable among {}", names.join(", "));
                Error::input(row.place(position), expected, format!("{name:?}"), "correct the name")
            })
        };
        let (from, to) = (node(positions[0])?, node(positions[1])?);
        dag.add_edge(from, to).map_err(|error| {
            let place: Place = row.line().named(format!("edge {} → {}", names[from], names[to]));
            Error::input(place, error.expected(), error.found(), "correct the list of edges")
        })
    })?;
    Ok(dag)
}

/// A header and rows of cells as CSV.
fn text<H, R, C>(header: H, rows: impl Iterator<Item = R>) -> String
where
    H: IntoIterator<Item: AsRef<[u8]>>,
    R: IntoIterator<Item = C>,
    C: AsRef<[u8]>,
{
    let mut writer: Writer<Vec<u8>> = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(header).expect("memory takes all records");
    rows.for_each(|row| writer.write_record(row).expect("rows as long as the header"));
    let bytes = writer.into_inner().expect("memory can be flushed");
    String::from_utf8(bytes).expect("cells are text")
}
