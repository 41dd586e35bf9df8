//! Notes the versions of the libraries that decide results, for the report: read from Cargo.lock where there is one.

use std::path::Path;

/// Numerics and random numbers; other libraries change no result.
const LIBRARIES: [&str; 7] = ["bio", "dfdx", "gemm", "petgraph", "rand", "rayon", "statrs"];

fn main() {
    let folder = std::env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
    let lock = Path::new(&folder).join("../../Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    // An archive of this package alone has no such file: the report then names no libraries.
    let text = std::fs::read_to_string(&lock).unwrap_or_default();
    let value =
        |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_matches([' ', '=', '"']).to_string());
    let mut found = Vec::new();
    for package in text.split("[[package]]") {
        let field = |key: &str| package.lines().find_map(|line| value(line, key));
        if let (Some(name), Some(version)) = (field("name"), field("version"))
            && LIBRARIES.contains(&name.as_str())
        {
            found.push(format!("{name} {version}"));
        }
    }
    println!("cargo:rustc-env=EP_LIBRARIES={}", found.join(","));
}
