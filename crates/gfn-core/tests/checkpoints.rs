//! Checkpoints that are damaged or belong to another run are refused with the reason, and never panic.

mod shared;

use std::path::Path;
use std::sync::Arc;

use gfn_core::environment::Environment;
use gfn_core::grid::{Grid, HypergridReward};
use gfn_core::losses::Balance;
use gfn_core::policy::{Activation, MlpSettings, PolicyKind, PolicySpec, TensorMap};
use gfn_core::reward::RewardTarget;
use gfn_core::rollout::{Share, Source};
use gfn_core::tensor_file;
use gfn_core::trainer::{Budget, TrainSettings, Trainer};
use gfn_core::{Error, ErrorKind};
use serde_json::{Value, json};
use shared::policy_spec;

fn grid() -> Grid {
    Grid::new(2, 4).unwrap()
}

fn settings() -> TrainSettings {
    TrainSettings {
        loss: Balance::Trajectory,
        batch_size: 4,
        budget: Budget::Steps(5),
        behaviour: vec![
            Share { share: 1.0, source: Source::on_policy(0.1) },
            Share { share: 1.0, source: Source::Replay },
        ],
        averaging: Some(0.5),
        replay_capacity: 3,
        ..TrainSettings::default()
    }
}

fn mlp() -> MlpSettings {
    MlpSettings { hidden: vec![4], ..MlpSettings::default() }
}

fn trainer(env: Grid, spec: PolicySpec, settings: TrainSettings) -> Trainer<Grid> {
    let target = Arc::new(RewardTarget { reward: HypergridReward::default() });
    Trainer::new(Arc::new(env), target, spec.build(1).unwrap(), settings).unwrap()
}

fn with(kind: PolicyKind) -> Trainer<Grid> {
    trainer(grid(), policy_spec(&grid(), kind), settings())
}

/// Trains three steps and writes a checkpoint.
fn save(kind: PolicyKind, path: &Path) {
    let mut trainer = with(kind);
    for _ in 0..3 {
        trainer.step().unwrap();
    }
    trainer.save_checkpoint(path).unwrap();
}

fn refused(trainer: &mut Trainer<Grid>, path: &Path, what: &str) -> Error {
    let error = trainer.restore_checkpoint(path).err().unwrap_or_else(|| panic!("{what} is accepted"));
    assert_eq!(error.kind(), ErrorKind::Input, "{what}: {error}");
    assert!(error.to_string().starts_with(path.to_str().unwrap()), "{what}: {error}");
    assert!(!error.advice().is_empty(), "{what}: {error}");
    error
}

#[test]
fn truncated_and_damaged_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    for kind in [PolicyKind::Mlp(mlp()), PolicyKind::Tabular] {
        save(kind.clone(), &path);
        let whole = std::fs::read(&path).unwrap();
        let mut trainer = with(kind.clone());
        for length in 0..whole.len() {
            if length > 16 && length + 16 < whole.len() && length % 37 != 0 {
                continue;
            }
            std::fs::write(&path, &whole[..length]).unwrap();
            refused(&mut trainer, &path, &format!("{length} of {} bytes", whole.len()));
        }
        // The length of the header, and every seventh byte: other bits of other parts of the header and the numbers.
        for place in (0..whole.len()).filter(|n| *n < 8 || n % 7 == 0) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            std::fs::write(&path, &bytes).unwrap();
            refused(&mut trainer, &path, &format!("a flipped bit in byte {place}"));
        }
        std::fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
        refused(&mut trainer, &path, "bytes behind the end");
        std::fs::write(&path, &whole).unwrap();
        trainer.restore_checkpoint(&path).unwrap();
        assert_eq!(trainer.steps(), 3, "what was refused left no trace");
    }
    let missing = folder.path().join("missing.safetensors");
    refused(&mut with(PolicyKind::Tabular), &missing, "a missing file");
}

#[test]
fn checkpoints_of_other_settings_policies_and_environments_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    save(PolicyKind::Mlp(mlp()), &path);
    let spec = || policy_spec(&grid(), PolicyKind::Mlp(mlp()));
    let mut others: Vec<(&str, Trainer<Grid>)> = Vec::new();
    for (name, settings) in [
        ("another seed", TrainSettings { seed: 1, ..settings() }),
        ("another batch size", TrainSettings { batch_size: 5, ..settings() }),
        ("another budget", TrainSettings { budget: Budget::Steps(6), ..settings() }),
        ("another loss", TrainSettings { loss: Balance::Contrastive, ..settings() }),
        ("no averaging", TrainSettings { averaging: None, ..settings() }),
    ] {
        others.push((name, trainer(grid(), spec(), settings)));
    }
    // The last two have tensors of the same shapes.
    for (name, settings) in [
        ("other widths", MlpSettings { hidden: vec![5], ..mlp() }),
        ("a linear path", MlpSettings { linear_path: true, ..mlp() }),
        ("another activation", MlpSettings { activation: Activation::Smooth, ..mlp() }),
        ("another start", MlpSettings { backward_start: true, ..mlp() }),
    ] {
        others.push((name, with(PolicyKind::Mlp(settings))));
    }
    others.push(("another family", with(PolicyKind::Tabular)));
    others.push(("a flow", trainer(grid(), PolicySpec { flow: true, ..spec() }, settings())));
    let larger = Grid::new(2, 5).unwrap();
    let mut spec = spec();
    spec.env = larger.spec().clone();
    others.push(("another environment", trainer(larger, spec, settings())));
    for (name, mut trainer) in others {
        let error = refused(&mut trainer, &path, name).to_string();
        assert!(error.contains("environment, policy and settings"), "{name}: {error}");
        assert_eq!(trainer.steps(), 0, "{name}");
    }
}

#[test]
fn checkpoints_with_contents_of_no_run_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    save(PolicyKind::Mlp(mlp()), &path);
    let (description, tensors): (Value, TensorMap) = tensor_file::load(&path).unwrap();
    // Checksums are right, contents are not.
    let refuse = |what: &str, change: &dyn Fn(&mut Value, &mut TensorMap)| {
        let (mut description, mut tensors) = (description.clone(), tensors.clone());
        change(&mut description, &mut tensors);
        let tensors: Vec<_> = tensors.into_values().collect();
        tensor_file::save(&path, &description, &tensors).unwrap();
        let error = refused(&mut with(PolicyKind::Mlp(mlp())), &path, what).to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    refuse("unknown field", &|d, _| d["more"] = json!(1));
    refuse("missing field", &|d, _| drop(d.as_object_mut().unwrap().remove("updates")));
    refuse("replay", &|d, _| d["replay"] = json!([[0.5, [0, 0, 0, 0, 1]]]));
    refuse("replay", &|d, _| d["replay"] = json!([[0.5, [7]]]));
    let first_bias = "policy/first.bias";
    refuse("tensor first.bias", &|_, t| drop(t.remove(first_bias)));
    refuse("tensor first.bias", &|_, t| t.get_mut(first_bias).unwrap().values[0] = f32::NAN);
    refuse("tensor other", &|_, t| {
        let mut other = t[first_bias].clone();
        other.name = "other".into();
        t.insert("other".into(), other);
    });
    for kind in ["first", "second", "average"] {
        let name = format!("{kind}/0000");
        refuse(kind, &|_, t| {
            let tensor = t.get_mut(&name).unwrap();
            tensor.values.push(0.0);
            tensor.shape[0] += 1;
        });
        refuse(kind, &|_, t| drop(t.remove(&format!("{kind}/0002"))));
    }
}
