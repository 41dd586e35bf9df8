//! Models: what is read, what is refused, and that writing and reading agree.

use gfn_phylo::{Alignment, CategoryRates, ModelSettings, RateMatrix, SubstitutionModel};

#[test]
fn text_and_json_read_back_to_the_same_model() {
    for text in [
        "JC69",
        "K80{4}",
        "HKY85{2.5}+F{0.32,0.21,0.17,0.3}+G4{0.45}+I{0.25}",
        "HKY85{2.5}+F",
        "GTR{1.1,3.2,0.7,0.9,4.4,1}+F{0.1,0.2,0.3,0.4}+G8m{0.5}",
    ] {
        let model: SubstitutionModel = text.parse().unwrap();
        assert_eq!(model.to_string(), text);
        let json = serde_json::to_string(&model).unwrap();
        assert_eq!(serde_json::from_str::<SubstitutionModel>(&json).unwrap(), model, "{json}");
    }
    let model: SubstitutionModel = "hky{2}+f{0.25,0.25,0.25,0.25}+g{1}+i{0.1}".parse().unwrap();
    assert_eq!(model.name(), "HKY85+G4+I");
}

#[test]
fn parameters_may_come_from_settings() {
    let json = r#"{"name": "GTR+G4+I", "rates": [1,2,1,1,2,1], "frequencies": "empirical", "alpha": 0.5, "pinv": 0.2}"#;
    let model: SubstitutionModel = serde_json::from_str(json).unwrap();
    assert_eq!(model.name(), "GTR+G4+I");
    assert_eq!(model.rate_matrix(), RateMatrix::Gtr { rates: [1.0, 2.0, 1.0, 1.0, 2.0, 1.0] });
    assert_eq!(model.gamma().unwrap().category_rates, CategoryRates::Mean);
    assert!(model.frequencies().unwrap_err().to_string().contains("not counted"));
}

#[test]
fn empirical_frequencies_share_ambiguities_and_leave_gaps_out() {
    let alignment =
        Alignment::new(vec!["a".into(), "b".into()], vec![b"AACGN-".to_vec(), b"RYTT?-".to_vec()]).unwrap();
    let model: SubstitutionModel = "HKY85{2}+F".parse().unwrap();
    let counted = model.with_frequencies_of(&alignment).unwrap().frequencies().unwrap();
    // A 2 + 1/2, C 1 + 1/2, G 1 + 1/2, T 2 + 1/2, of eight
    for (frequency, expected) in counted.iter().zip([2.5, 1.5, 1.5, 2.5]) {
        assert!((frequency - expected / 8.0).abs() < 1e-15);
    }
    let no_t = alignment.select_sites(&[0]);
    assert!(model.with_frequencies_of(&no_t).unwrap_err().to_string().contains("for C"));
}

#[test]
fn frequencies_are_rescaled_within_rounding_only() {
    let model: SubstitutionModel = "HKY85{2}+F{0.2500001,0.25,0.25,0.25}".parse().unwrap();
    assert!((model.frequencies().unwrap().iter().sum::<f64>() - 1.0).abs() < 1e-15);
    assert!("HKY85{2}+F{0.2501,0.25,0.25,0.25}".parse::<SubstitutionModel>().is_err());
}

#[test]
fn nonsense_is_refused_with_the_setting_named() {
    let cases = [
        ("WAG", "model", "JC69, K80"),
        ("JC69+G0{1}", "model", "1 to 64"),
        ("JC69+G99{1}", "model", "1 to 64"),
        ("JC69+G4{1}+G4{1}", "model", "at most one"),
        ("JC69+X", "model", "at most one"),
        ("JC69{2}", "kappa", "no such parameter"),
        ("JC69+F", "frequencies", "no such parameter"),
        ("K80", "kappa", "none"),
        ("K80{-1}", "kappa", "positive"),
        ("K80{x}", "model", "numbers in braces"),
        ("K80{1,2}", "model", "one number"),
        ("K80{1", "model", "closing brace"),
        ("HKY85{2}", "frequencies", "empirical"),
        ("HKY85{2}+F{1,2}", "model", "four frequencies"),
        ("HKY85{2}+F{0.5,0.5,0,0}", "frequencies", "0 for G"),
        ("GTR+F", "rates", "AC, AG"),
        ("GTR{1,1,1,1,1,0}+F", "rates", "positive"),
        ("JC69+G4", "alpha", "none"),
        ("JC69+I", "pinv", "none"),
        ("JC69+I{1}", "pinv", "< 1"),
        ("JC69+I{NaN}", "pinv", "< 1"),
    ];
    for (text, setting, hint) in cases {
        let message = text.parse::<SubstitutionModel>().unwrap_err().to_string();
        assert!(message.starts_with(&format!("{setting}: ")) && message.contains(hint), "{text}: {message}");
    }
    let unused = ModelSettings { name: "JC69".into(), alpha: Some(1.0), ..ModelSettings::default() };
    assert!(SubstitutionModel::new(&unused).is_err());
    let unused = ModelSettings { name: "JC69".into(), pinv: Some(0.1), ..ModelSettings::default() };
    assert!(SubstitutionModel::new(&unused).is_err());
}

#[test]
fn a_misspelt_word_for_the_frequencies_is_explained() {
    let json = r#"{"name": "HKY85", "kappa": 2, "frequencies": "empircal"}"#;
    let message = serde_json::from_str::<SubstitutionModel>(json).unwrap_err().to_string();
    assert!(message.contains("four frequencies (A, C, G, T) or the word empirical"), "{message}");
}
