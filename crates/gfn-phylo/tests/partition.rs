//! Dealing sites to clients: each site once, by position or by sets from a file.

use std::path::Path;

use gfn_core::ErrorKind;
use gfn_phylo::CharacterSet;
use gfn_phylo::partition::{Split, deal_sites, parse_partitions};
use proptest::prelude::*;

fn set(name: &str, sites: &[usize]) -> CharacterSet {
    CharacterSet { name: name.into(), sites: sites.to_vec() }
}

fn sets(text: &str) -> gfn_core::Result<Vec<CharacterSet>> {
    parse_partitions(text.as_bytes(), Path::new("parts.txt"), 12)
}

#[test]
fn small_deals_by_hand() {
    assert_eq!(deal_sites(7, 3, &Split::RoundRobin).unwrap(), [vec![0, 3, 6], vec![1, 4], vec![2, 5]]);
    // floor(i · 3 / 7) for i = 0..7 is 0 0 0 1 1 2 2
    assert_eq!(deal_sites(7, 3, &Split::Contiguous).unwrap(), [vec![0, 1, 2], vec![3, 4], vec![5, 6]]);
    assert_eq!(deal_sites(10_000, 10_000, &Split::RoundRobin).unwrap()[9_999], [9_999]);
    let split = Split::CharacterSets(vec![set("x", &[4, 1]), set("y", &[0, 2, 3])]);
    assert_eq!(deal_sites(5, 2, &split).unwrap(), [vec![1, 4], vec![0, 2, 3]]);
}

#[test]
fn refusals_say_what_to_do() {
    let refused = |n_sites, clients, split: Split, parts: &[&str]| {
        let error = deal_sites(n_sites, clients, &split).unwrap_err();
        for part in parts {
            assert!(error.to_string().contains(part), "\"{part}\" is not in: {error}");
        }
        error.kind()
    };
    assert_eq!(
        refused(3, 4, Split::RoundRobin, &["3 sites", "4 clients", "3 clients or fewer"]),
        ErrorKind::Usage
    );
    refused(9_999, 10_000, Split::Contiguous, &["10000 clients"]);
    refused(3, 0, Split::RoundRobin, &["at least 1"]);
    let split = |sets: &[CharacterSet]| Split::CharacterSets(sets.to_vec());
    refused(3, 1, split(&[]), &["found none"]);
    refused(3, 2, split(&[set("x", &[0, 1, 2])]), &["2 clients", "1 set(s)", "run with 1"]);
    refused(3, 2, split(&[set("x", &[0, 1]), set("y", &[1, 2])]), &["set y", "site 2 also in set x"]);
    refused(3, 2, split(&[set("x", &[0]), set("y", &[2])]), &["1 site(s) in none", "site 2"]);
    refused(3, 2, split(&[set("x", &[0, 1, 2]), set("y", &[])]), &["set y", "at least one site"]);
    refused(3, 2, split(&[set("x", &[0, 1]), set("y", &[3])]), &["set y", "site 4"]);
    let missing = Split::PartitionFile("no such file".into());
    refused(3, 2, missing, &["no such file"]);
}

#[test]
fn partition_files_in_both_styles() {
    let want = [set("gene1", &[0, 1, 2, 5, 7, 9]), set("rest", &[3, 4, 6, 8, 10, 11])];
    for text in [
        "DNA, gene1 = 1-3, 6-10\\2\nDNA, rest=4-5,7,9 , 11-12\n",
        "# comment\r\nGTR+G{0.1,2}, gene1 = 1-3 6-10/2 # more\r\n\r\nrest = 4 - 5 7 9 11-.\r\n",
        "#NEXUS\nbegin sets;\ncharset gene1 = 1-3 6-10\\2; [x]\ncharset rest = 4-5 7 9 11-.;\nend;\n",
        "charset gene1=1-3 6-10\\2;\nCHARSET rest=4-5 7 9 11-12;",
    ] {
        assert_eq!(sets(text).unwrap_or_else(|error| panic!("{text}: {error}")), want, "{text}");
    }
    let path = std::env::temp_dir().join(format!("gfn-phylo-partition-{}.txt", std::process::id()));
    std::fs::write(&path, "DNA, gene1 = 1-3, 6-10\\2\nDNA, rest=4-5,7,9 , 11-12\n").unwrap();
    let dealt = deal_sites(12, 2, &Split::PartitionFile(path.clone()));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(dealt.unwrap(), want.map(|set| set.sites));
}

#[test]
fn partition_file_errors_name_the_place() {
    let refused = |text: &str, parts: &[&str]| {
        let error = sets(text).expect_err(text).to_string();
        for part in parts {
            assert!(error.contains(part), "\"{part}\" is not in: {error}");
        }
    };
    refused("", &["parts.txt", "none"]);
    refused("DNA, a = 1-3\nDNA, b 4-5\n", &["line 2", "no '='"]);
    refused("DNA, a = 1-13\n", &["line 1, column 12", "from 1 to 12", "found 13"]);
    refused("DNA, a = 1-3\nDNA, a = 4-5\n", &["line 2, column 6", "a twice"]);
    refused("WAG+G, a = 1-3\n", &["only nucleotide"]);
    refused("DNA, = 1-3\n", &["an empty name"]);
    refused("DNA, a = 3-1\n", &["low to high"]);
    refused("DNA, a =\n", &["at least one site"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_site_is_dealt_once(n_sites in 1_usize..300, share in 0.0..1.0_f64) {
        let clients = 1 + (share * n_sites as f64) as usize;
        for split in [Split::RoundRobin, Split::Contiguous] {
            let dealt = deal_sites(n_sites, clients, &split).unwrap();
            prop_assert_eq!(dealt.len(), clients);
            let sizes: Vec<usize> = dealt.iter().map(Vec::len).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            let mut sites = dealt.concat();
            if split == Split::RoundRobin {
                sites.sort();
            }
            prop_assert_eq!(sites, (0..n_sites).collect::<Vec<_>>());
        }
    }
}
