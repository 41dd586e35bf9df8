//! CSV files as tables: columns by name, what is accepted, and what is refused with file, line and column.

mod shared;

use std::path::PathBuf;

use gfn_bn::data::{ReadOptions, Schema, TableFile, edges_csv, read_discrete_table, read_edges, read_table};
use gfn_bn::{Bge, BgeSettings, Dag, DiscreteTable, LocalScore, Table};
use gfn_core::{ErrorKind, Result};
use tempfile::TempDir;

const COMPLETE: ReadOptions = ReadOptions { complete_cases: true, standardise: false };

/// A folder with one file.
fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.csv");
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn read_with(content: impl AsRef<[u8]>, columns: &[&str], options: ReadOptions) -> Result<TableFile<Table>> {
    let (_folder, path) = file(content);
    read_table(&path, &names(columns), &options)
}

/// Columns a and b.
fn read(content: impl AsRef<[u8]>) -> Result<TableFile<Table>> {
    read_with(content, &["a", "b"], ReadOptions::default())
}

/// The message about a file that has to be refused as bad input, from the file name on.
fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    let text = error.to_string();
    let at = text.find("site.csv").unwrap_or_else(|| panic!("no file in {text:?}"));
    text[at..].to_string()
}

fn refused(content: impl AsRef<[u8]>) -> String {
    message(read(content))
}

fn columns(content: impl AsRef<[u8]>) -> Vec<Vec<f64>> {
    read(content).unwrap().table.columns().to_vec()
}

#[test]
fn missing_values_are_refused_or_dropped() {
    for cell in ["", "NA", "NaN", "nan", ".", "?", " NA ", "\"\"", "NAN"] {
        let csv = format!("a,b\n1,2\n3,{cell}\n5,6\n");
        let text = refused(&csv);
        let expected = "site.csv, line 3, column \"b\": expected a value in every cell, found a missing one";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("--complete-cases"), "{text}");
        let complete = read_with(&csv, &["a", "b"], COMPLETE).unwrap();
        assert_eq!(complete.table.columns(), [[1.0, 5.0], [2.0, 6.0]]);
        assert_eq!(complete.dropped_rows, 1);
        let warning = complete.warnings[0].to_string();
        assert!(
            warning.starts_with("1 of 3 rows have missing values and are left out; column \"b\""),
            "{warning}"
        );
        // parse_cases of vectors/bn/bge.json, missing_empty_cell (mpmath, 50 digits).
        let score = Bge::new(&complete.table, &BgeSettings::default())
            .unwrap()
            .score(&"0100".parse::<Dag>().unwrap());
        assert!((score / -14.323790641107874 - 1.0).abs() < 1e-10, "{score}");
    }
    // The line of the file counts, whatever was dropped before; other faults of an incomplete row are not excused.
    let text = message(read_with("a,b\n,1\n,high\n", &["a", "b"], COMPLETE));
    assert!(text.starts_with("site.csv, line 3, column \"b\": expected a number"), "{text}");
    let text = message(read_with("a,b\n,1\n,\n2,NA\n,4\n", &["a", "b"], COMPLETE));
    assert!(
        text.starts_with(
            "site.csv, column \"a\": expected at least one row without missing values, found none in 4"
        ),
        "{text}"
    );
    assert!(text.contains("lacks 3 values"), "{text}");
    assert_eq!(read_with("a,b\n1,2\n", &["a", "b"], COMPLETE).unwrap().dropped_rows, 0);
}

#[test]
fn what_is_no_number_is_refused() {
    for infinite in ["inf", "-Inf", "infinity", "1e999"] {
        let text = refused(format!("a,b\n1,2\n3,{infinite}\n"));
        let expected =
            format!("site.csv, line 3, column \"b\": expected a finite number, found {infinite:?}");
        assert!(text.starts_with(&expected), "{text}");
    }
    let text = refused("a,b\n1,2\n3,high\n");
    assert!(text.starts_with("site.csv, line 3, column \"b\": expected a number, found \"high\""), "{text}");
    assert!(text.contains("not numeric") && text.contains("--score bdeu"), "{text}");
    let text = refused("a;b\n1;2\n3;1,5\n");
    assert!(text.contains("found \"1,5\"; write decimal points"), "{text}");
    let text = refused(format!("a,b\n1,{}\n", "x".repeat(1000)));
    assert!(text.len() < 300, "{text}");
}

#[test]
fn ragged_rows_are_refused() {
    let text = refused("a,b\n1,2\n3\n");
    assert!(
        text.starts_with("site.csv, line 3: expected 2 cells, one for each name of the header, found 1"),
        "{text}"
    );
    let text = refused("a,b\n1,2,3\n");
    assert!(
        text.starts_with("site.csv, line 2: expected 2 cells, one for each name of the header, found 3"),
        "{text}"
    );
}

#[test]
fn lines_are_those_of_the_file() {
    let faulty_line = |csv: &str| {
        let error = read(csv).unwrap_err();
        assert_eq!(error.place().item.as_deref(), Some("column \"b\""), "{error}");
        error.place().line.unwrap()
    };
    assert_eq!(faulty_line("a,b\n1,2\n3,x\n"), 3);
    assert_eq!(faulty_line("a,b\r\n1,2\r\n3,x\r\n"), 3);
    assert_eq!(faulty_line("a,b\r1,2\r3,x\r"), 3);
    assert_eq!(faulty_line("\u{feff}a,b\n1,2\n3,x"), 3);
    assert_eq!(faulty_line("\n\na,b\n\n1,2\n  \n\r\n3,x\n"), 8);
    assert_eq!(faulty_line("a,b\n1,\"2\n\"\n3,x\n"), 4);
    assert_eq!(faulty_line("a,b\n1,2\n\"\n\n3\",x\n5,6\n"), 3);
}

#[test]
fn quotes_that_are_not_closed_are_found() {
    for (csv, line) in [("a,b\n1,\"2\n3,4\n", 2), ("a,b\n1,2\n\"3,4\n5,6\n", 3), ("a,\"b\n1,2\n", 1)] {
        let text = refused(csv);
        let expected = format!("site.csv, line {line}: expected a second quotation mark for every first one");
        assert!(text.starts_with(&expected), "{text}");
    }
}

#[test]
fn headers_are_checked() {
    let text = refused("a,a\n1,2\n3,4\n");
    assert!(
        text.starts_with("site.csv, line 1, column 2: expected a name of its own for every column, found"),
        "{text}"
    );
    let text = refused("\"\",a,b\n1,1,2\n");
    assert!(text.starts_with("site.csv, line 1, column 1: expected a name for every column"), "{text}");
    assert!(text.contains("row numbers"), "{text}");
    let text = refused("1,2\n3,4\n");
    assert!(
        text.starts_with("site.csv, line 1: expected the names of the columns, found numbers: 1, 2"),
        "{text}"
    );
    let text = refused("a,c\n1,2\n");
    assert!(text.starts_with("site.csv, line 1, column \"b\": expected a column of this name"), "{text}");
    assert!(text.contains("found columns a, c"), "{text}");
    let text = refused("a,b,c\n1,2,3\n");
    assert!(
        text.starts_with("site.csv, line 1, column \"c\": expected the columns of the schema and no others"),
        "{text}"
    );
    let text = refused("a b\n1 2\n");
    assert!(text.contains("separate the columns by commas"), "{text}");
}

#[test]
fn files_without_a_table_are_refused() {
    for (content, found) in [
        (&b""[..], "expected the names of the columns in the first line, found an empty file"),
        (b"\n\r\n\n", "found an empty file"),
        (b"\xef\xbb\xbf", "found an empty file"),
        (b"a,b\n", "expected at least one row below the header, found a header only"),
        (b"a,b\n\n\n", "found a header only"),
        (b"PK\x03\x04rest", "found a spreadsheet or zip archive; export the table as CSV"),
        (b"\x1f\x8b\x08rest", "found a gzip-compressed file"),
        (b"\xff\xfea\0,\0b\0", "found text in UTF-16"),
        (b"a,b\n\0\0", "found a binary file"),
        (b"a,b\n1,2\n3,\xe9\n", "line 3, column \"b\": expected text in UTF-8, found the byte 0xE9"),
        (b"a,\xe9\n1,2\n", "line 1, column 2: expected text in UTF-8, found the byte 0xE9"),
    ] {
        let text = refused(content);
        assert!(text.starts_with("site.csv") && text.contains(found), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = read_table(&folder.path().join("site.csv"), &names(&["a"]), &ReadOptions::default());
    assert!(message(missing).starts_with("site.csv: expected to read it"));
    std::fs::create_dir(folder.path().join("site.csv")).unwrap();
    let directory = read_table(&folder.path().join("site.csv"), &names(&["a"]), &ReadOptions::default());
    assert!(message(directory).starts_with("site.csv: expected to read it"));
}

#[test]
fn all_ways_to_write_a_table_give_the_same_one() {
    let expected = [vec![1.0, -3.5], vec![2.0, 5e-3]];
    for csv in [
        "a,b\n1,2\n-3.5,5e-3\n",
        "a,b\n1,2\n-3.5,5e-3",
        "\u{feff}a,b\r\n1,2\r\n-3.5,5e-3\r\n",
        " a , b \n 1 ,\t2\n -3.5 , +.005 \n",
        "\"a\",\"b\"\n\"1\",\"2\"\n\"-3.5\",\"5E-3\"\n",
        "\"a\", \"b\"\n1, \"2\"\n-3.5,\" 5e-3 \"\n",
        "a;b\n1;2\n-3.5;5e-3\n",
        "a\tb\n1\t2\n-3.5\t5e-3\n",
        "b,a\n2,1\n5e-3,-3.5\n",
        "\na,b\n\n1,2\n   \n-3.5,5e-3\n\n",
        "a,b\r1,2\r-3.5,5e-3\r",
    ] {
        assert_eq!(columns(csv), expected, "{csv:?}");
    }
    // Separators in quoted names do not count.
    let table = read_with("\"x;y;z\",b\n1,2\n", &["x;y;z", "b"], ReadOptions::default()).unwrap().table;
    assert_eq!(table.columns(), [[1.0], [2.0]]);
    // parse_cases of vectors/bn/bge.json, column_order: the same scores.
    let score = |csv: &str| {
        let table = read(csv).unwrap().table;
        Bge::new(&table, &BgeSettings::default()).unwrap().score(&"0100".parse::<Dag>().unwrap())
    };
    assert_eq!(score("a,b\n1,2\n3,5\n"), score("b,a\n2,1\n5,3\n"));
    assert_ne!(score("a,b\n1,2\n3,5\n"), score("a,b\n2,1\n5,3\n"));
}

const SCHEMA: &str = r#"
[[columns]]
name = "dose"
levels = ["low", "mid", "high"]

[[columns]]
name = "region"
levels = ["NA", "EU"]
"#;

#[test]
fn categories_are_levels_of_the_schema() {
    let schema = Schema::parse(SCHEMA).unwrap();
    let read = |content: &str, options| {
        let (_folder, path) = file(content);
        read_discrete_table(&path, &schema, &options)
    };
    // A level of the schema is never missing: NA is North America here.
    let own = read("region,dose\r\nEU,\"high\"\r\nNA, low\r\n", ReadOptions::default()).unwrap();
    assert_eq!(own.table.names(), ["dose", "region"]);
    assert_eq!(own.table.levels(), schema.levels().unwrap());
    assert_eq!(own.table.columns(), [[2, 0], [1, 0]]);
    let text = message(read("dose,region\nlow,EU\nmax,EU\n", ReadOptions::default()));
    let expected = "site.csv, line 3, column \"dose\": expected one of the levels \"low\", \"mid\", \"high\", found \"max\"";
    assert!(text.starts_with(expected), "{text}");
    let text = message(read("dose,region\nlow,EU\nNA,EU\n", ReadOptions::default()));
    assert!(text.starts_with("site.csv, line 3, column \"dose\": expected a value in every cell"), "{text}");
    let complete = read("dose,region\nlow,EU\nNA,EU\n", COMPLETE).unwrap();
    assert_eq!((complete.table.n_rows(), complete.dropped_rows), (1, 1));

    let standardise = ReadOptions { standardise: true, ..ReadOptions::default() };
    let error = read("dose,region\nlow,EU\n", standardise).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    let numeric = Schema::parse("[[columns]]\nname = \"dose\"\n").unwrap();
    let (_folder, path) = file("dose\n1\n");
    let text = read_discrete_table(&path, &numeric, &ReadOptions::default()).unwrap_err().to_string();
    assert!(text.starts_with("column \"dose\": expected levels"), "{text}");
}

#[test]
fn schemas_are_checked() {
    let schema = Schema::parse(SCHEMA).unwrap();
    assert!(schema.is_discrete() && schema.warnings().is_empty());
    assert_eq!(schema.names(), ["dose", "region"]);
    assert_eq!(Schema::parse(&schema.text()).unwrap(), schema);
    let column = |name: &str, rest: &str| format!("[[columns]]\nname = {name:?}\n{rest}\n");
    let many = |n: usize| (0..n).map(|k| column(&format!("c{k}"), "")).collect::<String>();
    assert!(!Schema::parse(&many(64)).unwrap().is_discrete());
    let single = Schema::parse(&column("a", "levels = [\"x\"]")).unwrap();
    assert!(single.warnings()[0].to_string().starts_with("column \"a\" has a single level"));

    let a = column("a", "");
    for (text, expected) in [
        (many(65), "columns: expected 1 to 64 columns, found 65"),
        ("columns = []".into(), "columns: expected 1 to 64 columns, found 0"),
        (format!("{a}{a}"), "line 4, column \"a\": expected a name of its own, found the same name twice"),
        (a.clone() + &column("", ""), "line 4, column 2: expected a name without blanks"),
        (a.clone() + &column(" b", ""), "line 4, column \" b\": expected a name without blanks"),
        (
            a.clone() + &column("b", "levels = [\"x\", \"y\"]"),
            "line 4, column \"b\": expected columns of one kind: all numbers or all categories, found numbers and categ",
        ),
        (column("a", "levels = []"), "line 1, column \"a\": expected 1 to 65536 levels, found 0"),
        (
            column("a", "levels = [\"x\", \"x\"]"),
            "line 1, column \"a\": expected different levels, found \"x\" twice",
        ),
        (column("a", "levels = [\"\"]"), "line 1, column \"a\": expected levels without blanks"),
        (
            a.clone() + &column("b", "level = [\"x\"]"),
            "line 6, columns: expected [[columns]], each with a name",
        ),
        (column("a", "levels = [0, 1]"), "line 3, columns: expected [[columns]], each with a name"),
        ("[[columns]\n".into(), "line 1, columns: expected [[columns]], each with a name"),
    ] {
        let error = Schema::parse(&text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input);
        assert!(error.to_string().starts_with(expected), "{error}");
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schema.toml");
    std::fs::write(&path, SCHEMA).unwrap();
    assert_eq!(Schema::load(&path).unwrap(), schema);
    std::fs::write(&path, format!("{a}{a}")).unwrap();
    assert!(Schema::load(&path).unwrap_err().to_string().contains("schema.toml, line 4, column \"a\""));
    std::fs::write(&path, b"\xff").unwrap();
    assert!(Schema::load(&path).unwrap_err().to_string().contains("schema.toml: expected text in UTF-8"));
    assert_eq!(Schema::load(folder.path()).unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn schemas_of_several_files_have_the_levels_of_all() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let first = write("first.csv", "a,b\n10,no\n9,\n");
    let second = write("site.csv", "b,a\nyes,NA\nmaybe,-1\n");
    let files = [&first, &second];
    let levels =
        |extra: &[(String, Vec<String>)]| Schema::of_files(&files, true, extra).unwrap().levels().unwrap();
    assert_eq!(levels(&[]), [names(&["-1", "9", "10"]), names(&["maybe", "no", "yes"])]);
    let extra = [("b".to_string(), names(&["no", "?"])), ("a".to_string(), names(&["2"]))];
    assert_eq!(levels(&extra), [names(&["-1", "2", "9", "10"]), names(&["?", "maybe", "no", "yes"])]);
    // One value that is no integer, and all are sorted as text.
    let text = ("a".to_string(), names(&["x"]));
    assert_eq!(levels(&[text])[0], names(&["-1", "10", "9", "x"]));

    let numeric = Schema::of_files(&files, false, &[]).unwrap();
    assert_eq!((numeric.names(), numeric.is_discrete()), (names(&["a", "b"]), false));
    for (discrete, column) in [(true, "c"), (false, "a")] {
        let error = Schema::of_files(&files, discrete, &[(column.into(), names(&["x"]))]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    }
    assert_eq!(Schema::of_files::<PathBuf>(&[], true, &[]).unwrap_err().kind(), ErrorKind::Usage);

    let with_second = |content: &str| {
        write("site.csv", content);
        message(Schema::of_files(&files, true, &[]))
    };
    let text = with_second("a\n1\n");
    assert!(
        text.starts_with("site.csv, line 1, column \"b\": expected a column of this name, as in "),
        "{text}"
    );
    assert!(text.contains("first.csv"), "{text}");
    let text = with_second("a,b,c\n1,2,3\n");
    assert!(text.starts_with("site.csv, line 1, column \"c\": expected the columns of "), "{text}");
    assert!(with_second("1,2\n3,4\n").contains("found numbers: 1, 2"));
    assert!(with_second("a,b\n").contains("found a header only"));

    let alone =
        |content: &str, discrete| message(Schema::of_files(&[write("site.csv", content)], discrete, &[]));
    assert!(alone("0,1\n1,2\n", false).contains("expected the names of the columns, found numbers: 0, 1"));
    let text = alone("a,b\n1,NA\n2,\n", true);
    assert!(text.starts_with("site.csv, column \"b\": expected a value in some row of some file"), "{text}");
    let wide = |n: usize| (0..n).map(|k| format!("c{k}")).collect::<Vec<_>>().join(",");
    let text = alone(&wide(65), false);
    assert!(text.starts_with("site.csv, columns: expected 1 to 64 columns, found 65"), "{text}");
    let many: String = (0..=65536).map(|k| format!("{k}\n")).collect();
    let text = alone(&format!("a\n{many}"), true);
    assert!(
        text.starts_with("site.csv, line 65538, column \"a\": expected at most 65536 different values"),
        "{text}"
    );
}

#[test]
fn tables_are_written_as_they_are_read() {
    let values =
        vec![vec![0.1, -1e300, 5e-324, 1.0 / 3.0], vec![1e6 + 0.1, -0.0, 123456789.0, 2f64.powi(70)]];
    let table = Table::new(names(&["a, \"b\"", "c;d"]), values).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.csv");
    table.write_csv(&path).unwrap();
    assert_eq!(read_table(&path, table.names(), &ReadOptions::default()).unwrap().table, table);

    let levels = vec![names(&["NA", "x y", "a,b"]), names(&["1", "\"2\" or 3"])];
    let discrete =
        DiscreteTable::new(names(&["a", "b"]), levels, vec![vec![0, 2, 1], vec![1, 0, 1]]).unwrap();
    discrete.write_csv(&path).unwrap();
    let schema = Schema::parse(&Schema::from(&discrete).text()).unwrap();
    assert_eq!(read_discrete_table(&path, &schema, &ReadOptions::default()).unwrap().table, discrete);
}

#[test]
fn edges_are_read_by_name() {
    let names = names(&["a", "b,c", "d"]);
    let dag: Dag = "010001000".parse().unwrap();
    let csv = edges_csv(&dag, &names);
    assert_eq!(csv, "from,to\na,\"b,c\"\n\"b,c\",d\n");
    let read = |content: &str| {
        let (_folder, path) = file(content);
        read_edges(&path, &names)
    };
    assert_eq!(read(&csv).unwrap(), dag);
    assert_eq!(read("to,from\nd,\"b,c\"\n\"b,c\",a\n").unwrap(), dag);
    assert_eq!(read("from,to\n").unwrap(), Dag::empty(3).unwrap());
    let text = message(read("from,to\na,d\nd,e\n"));
    assert!(
        text.starts_with("site.csv, line 3, column \"to\": expected a variable among a, b,c, d, found \"e\""),
        "{text}"
    );
    let text = message(read("from,to\na,d\nd,a\n"));
    assert!(
        text.starts_with("site.csv, line 3, edge d → a: expected an edge that keeps the graph acyclic"),
        "{text}"
    );
    assert!(message(read("from,to\na,d\na,d\n")).contains("found one that is there already"));
    assert!(message(read("from,towards\na,d\n")).contains("column \"to\": expected a column of this name"));
}

#[test]
fn shared_data_are_read() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/bn");
    if !folder.is_dir() {
        println!("skipped: no shared data");
        return;
    }
    for (name, discrete, n_rows, n_columns) in [
        ("sachs_853.csv", false, 853, 11),
        ("marks_88.csv", false, 88, 5),
        ("alarm_2000.csv", true, 2000, 37),
        ("coronary_1841.csv", true, 1841, 6),
        ("sachs_discretised_853.csv", true, 853, 11),
    ] {
        let path = folder.join(name);
        let schema = Schema::of_files(&[&path], discrete, &[]).unwrap();
        let size = if discrete {
            let table = read_discrete_table(&path, &schema, &ReadOptions::default()).unwrap().table;
            (table.n_rows(), table.n_columns())
        } else {
            let table = read_table(&path, &schema.names(), &ReadOptions::default()).unwrap().table;
            (table.n_rows(), table.n_columns())
        };
        assert_eq!(size, (n_rows, n_columns), "{name}");
    }
}
