//! Files of clients and aggregates: bit for bit there and back, and strict about everything else.

mod shared;

use std::path::Path;
use std::sync::Arc;

use gfn_core::client::{ClientMeta, ClientModel, FORMAT};
use gfn_core::encoding::StateBatch;
use gfn_core::environment::{EnvSpec, Environment};
use gfn_core::exact::StateGraph;
use gfn_core::grid::Grid;
use gfn_core::policy::{
    Activation, MlpSettings, NamedTensor, Policy, PolicyKind, PolicySpec, Residual, SetEncoderSettings,
    TensorMap,
};
use gfn_core::random::stream;
use gfn_core::score::ResidualSpread;
use gfn_core::server::{ServerMeta, ServerModel, as_policy};
use gfn_core::tensor_file::{self, write_atomically};
use gfn_core::{Error, ErrorKind, aggregate::ClientLogits};
use rand::{Rng, RngExt};
use serde_json::{Value, json};
use shared::{Arrows, Choose, parameter_bits, policy_spec};

/// A client with perturbed parameters; a table knows some of the states.
fn client<E: Environment>(env: &E, kind: PolicyKind, name: &str) -> ClientModel {
    let mut spec = policy_spec(env, kind);
    (spec.learned_backward, spec.flow) = (true, true);
    let mut policy = spec.build(3).unwrap();
    let graph = StateGraph::enumerate(env, 1000).unwrap();
    policy.prepare(&StateBatch::new(env, graph.states().iter().skip(2), policy.needs()));
    let mut rng = stream(5, name, 0);
    policy
        .parameters_mut()
        .into_iter()
        .for_each(|p| p.iter_mut().for_each(|v| *v += rng.random::<f32>() - 0.5));
    policy.parameters_changed();
    let meta = ClientMeta {
        format: FORMAT,
        domain: "test".into(),
        plan: "plan-1".into(),
        client: name.into(),
        policy: policy.spec().clone(),
        prior_share: 1.0 / 3.0,
        round: 1,
        seed: u64::MAX,
        steps: 12,
        seconds: 0.1 + 0.2,
        residual_spread: ResidualSpread { own: 1e-300, tempered: std::f64::consts::PI, uniform: 2.5 },
        data: "40 sites, \"quoted\", ü".into(),
    };
    ClientModel { meta, policy }
}

fn mlp() -> PolicyKind {
    PolicyKind::Mlp(MlpSettings { hidden: vec![4], ..MlpSettings::default() })
}

fn kinds() -> Vec<PolicyKind> {
    let all = MlpSettings { linear_path: true, pooled: true, table_bits: Some(5), ..MlpSettings::default() };
    vec![
        mlp(),
        PolicyKind::Mlp(MlpSettings { hidden: vec![5, 6], backward_start: true, ..all }),
        PolicyKind::SetEncoder(SetEncoderSettings {
            hidden: 6,
            pair_width: 2,
            activation: Activation::Smooth,
        }),
        PolicyKind::Tabular,
        PolicyKind::Uniform,
    ]
}

/// The bits of a policy's outputs on every state.
fn output_bits<E: Environment>(env: &E, policy: &dyn Policy) -> Vec<u64> {
    let graph = StateGraph::enumerate(env, 1000).unwrap();
    let output = policy.forward(&StateBatch::new(env, graph.states(), policy.needs()));
    let all = output.forward.iter().chain(&output.backward).chain(&output.log_flow);
    all.map(|v| v.to_bits()).collect()
}

fn check_client<E: Environment>(env: &E, kind: PolicyKind, path: &Path) {
    let saved = client(env, kind, "a");
    saved.save(path).unwrap();
    let loaded = ClientModel::load(path).unwrap();
    assert_eq!(loaded.meta, saved.meta);
    assert_eq!(parameter_bits(loaded.policy.as_policy()), parameter_bits(saved.policy.as_policy()));
    let of = |model: &ClientModel| output_bits(env, model.policy.as_policy());
    assert_eq!(of(&loaded), of(&saved), "{:?}", saved.meta.policy.kind);
    // The same client gives the same file.
    let bytes = std::fs::read(path).unwrap();
    loaded.save(path).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
}

#[test]
fn clients_survive_their_files_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/client.safetensors");
    for kind in kinds() {
        check_client(&Choose::new(4, 3), kind.clone(), &path);
        check_client(&Choose::up_to(4, 2), kind, &path);
    }
    check_client(&Grid::new(2, 3).unwrap(), mlp(), &path);
    check_client(&Arrows::new(), kinds().remove(2), &path);
}

fn server(env: &Choose, kinds: Vec<PolicyKind>, residual: PolicyKind) -> ServerModel {
    let mut clients: Vec<Arc<dyn Policy>> = Vec::new();
    let mut metas = Vec::new();
    for (n, kind) in kinds.into_iter().enumerate() {
        let client = client(env, kind, &format!("client {n}"));
        metas.push((client.meta, 0.5 + n as f64));
        clients.push(Arc::from(as_policy(client.policy)));
    }
    let pairs = clients.iter().cloned().zip(metas.iter().map(|(_, w)| *w)).collect();
    let logits = Arc::new(ClientLogits::new(pairs).unwrap());
    let inner = client(env, residual, "residual");
    let meta = ServerMeta {
        format: FORMAT,
        domain: "test".into(),
        plan: "plan-1".into(),
        round: 2,
        clients: metas,
        residual: Some(inner.policy.spec().clone()),
        path_spread: Some(0.25),
        seed: 4,
        steps: 5,
        seconds: 6.5,
    };
    ServerModel { meta, clients, policy: Arc::new(Residual::new(inner.policy, logits)) }
}

#[test]
fn aggregates_survive_their_files_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("global.safetensors");
    let env = Choose::new(4, 3);
    for residual in kinds() {
        let saved = server(&env, kinds(), residual);
        saved.save(&path).unwrap();
        let loaded = ServerModel::load(&path).unwrap();
        assert_eq!(loaded.meta, saved.meta);
        assert_eq!(output_bits(&env, loaded.policy.as_ref()), output_bits(&env, saved.policy.as_ref()));
        for (a, b) in loaded.clients.iter().zip(&saved.clients) {
            assert_eq!(output_bits(&env, a.as_ref()), output_bits(&env, b.as_ref()));
        }
        let weights: Vec<f64> = loaded.weighted_clients().iter().map(|(_, w)| *w).collect();
        assert_eq!(weights, [0.5, 1.5, 2.5, 3.5, 4.5]);
    }
    let single = ServerModel::single(client(&env, mlp(), "only"));
    single.save(&path).unwrap();
    let loaded = ServerModel::load(&path).unwrap();
    assert_eq!(loaded.meta, single.meta);
    assert_eq!(output_bits(&env, loaded.policy.as_ref()), output_bits(&env, single.policy.as_ref()));
}

fn refused<T>(result: gfn_core::Result<T>, path: &Path, what: &str) -> String {
    let error: Error = result.err().unwrap_or_else(|| panic!("{what} is accepted"));
    assert_eq!(error.kind(), ErrorKind::Input, "{what}: {error}");
    assert!(error.to_string().starts_with(path.to_str().unwrap()), "{what}: {error}");
    assert!(!error.advice().is_empty(), "{what}: {error}");
    error.to_string()
}

fn both_refused(path: &Path, what: &str) {
    refused(ClientModel::load(path), path, what);
    refused(ServerModel::load(path), path, what);
}

#[test]
fn files_that_are_not_whole_safetensors_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    both_refused(&path, "a missing file");
    let write = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
    write(b"");
    both_refused(&path, "an empty file");
    let mut rng = stream(1, "random files", 0);
    for length in [1, 7, 8, 9, 64, 1000, 100_000] {
        let mut bytes = vec![0; length];
        rng.fill_bytes(&mut bytes);
        write(&bytes);
        both_refused(&path, "random bytes");
        // A plausible length of the header in front of noise.
        let header = (length as u64).to_le_bytes();
        write(&[&header[..], &bytes].concat());
        both_refused(&path, "a random header");
    }
    for claimed in [1u64 << 20, 1 << 26, 1 << 40, u64::MAX - 7, u64::MAX] {
        write(&[&claimed.to_le_bytes()[..], b"{}"].concat());
        both_refused(&path, "a header longer than the file");
    }
    for header in [
        "{}",
        "[]",
        r#"{"__metadata__":{}}"#,
        r#"{"__metadata__":{"description":"{}"}}"#,
        r#"{"__metadata__":{"description":"[1]"}}"#,
        r#"{"__metadata__":{"description":"{\"checksum\":7}"}}"#,
        r#"{"a":{"dtype":"F32","shape":[9223372036854775807,9],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,18446744073709551615]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
    ] {
        write(&[&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat());
        both_refused(&path, header);
        write(&[&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat());
        both_refused(&path, header);
    }
}

#[test]
fn truncated_and_damaged_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let env = Choose::new(4, 3);
    client(&env, mlp(), "a").save(&path).unwrap();
    let of_client = std::fs::read(&path).unwrap();
    server(&env, vec![mlp(), PolicyKind::Tabular], mlp()).save(&path).unwrap();
    let of_server = std::fs::read(&path).unwrap();
    for whole in [of_client, of_server] {
        let lengths = (0..whole.len()).filter(|n| n % 29 == 0 || *n < 20 || n + 20 > whole.len());
        for length in lengths {
            std::fs::write(&path, &whole[..length]).unwrap();
            both_refused(&path, &format!("{length} of {} bytes", whole.len()));
        }
        for place in (0..whole.len()).filter(|n| n % 11 == 0 || *n < 8) {
            let mut bytes = whole.clone();
            bytes[place] ^= 1 << (place % 8);
            std::fs::write(&path, &bytes).unwrap();
            both_refused(&path, &format!("a flipped bit in byte {place}"));
        }
    }
}

/// Writes the file again with a change and a right checksum; the error must name `named`.
struct Rewrite<'a> {
    path: &'a Path,
    description: Value,
    tensors: TensorMap,
}

impl<'a> Rewrite<'a> {
    fn of(path: &'a Path) -> Self {
        let (description, tensors) = tensor_file::load(path).unwrap();
        Rewrite { path, description, tensors }
    }

    fn write(&self, change: impl Fn(&mut Value, &mut TensorMap)) {
        let (mut description, mut tensors) = (self.description.clone(), self.tensors.clone());
        change(&mut description, &mut tensors);
        let tensors: Vec<NamedTensor> = tensors.into_values().collect();
        tensor_file::save(self.path, &description, &tensors).unwrap();
    }

    fn client(&self, named: &str, change: impl Fn(&mut Value, &mut TensorMap)) {
        self.write(change);
        let error = refused(ClientModel::load(self.path), self.path, named);
        assert!(error.contains(named), "{named}: {error}");
    }

    fn server(&self, named: &str, change: impl Fn(&mut Value, &mut TensorMap)) {
        self.write(change);
        let error = refused(ServerModel::load(self.path), self.path, named);
        assert!(error.contains(named), "{named}: {error}");
    }
}

fn tensor(name: &str, shape: &[usize]) -> NamedTensor {
    NamedTensor { name: name.into(), shape: shape.to_vec(), values: vec![0.0; shape.iter().product()] }
}

fn put(tensors: &mut TensorMap, tensor: NamedTensor) {
    tensors.insert(tensor.name.clone(), tensor);
}

#[test]
fn clients_with_wrong_contents_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.safetensors");
    let env = Choose::new(4, 3);
    client(&env, mlp(), "a").save(&path).unwrap();
    let file = Rewrite::of(&path);
    file.write(|_, _| {});
    ClientModel::load(&path).unwrap();

    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        file.client("tensor layers.0.weight", |_, t| {
            t.get_mut("layers.0.weight").unwrap().values[3] = value;
        });
    }
    file.client("tensor first.bias", |_, t| drop(t.remove("first.bias")));
    file.client("tensor more", |_, t| put(t, tensor("more", &[2])));
    file.client("tensor first.weight", |_, t| t.get_mut("first.weight").unwrap().shape = vec![16]);
    file.client("tensor first.bias", |_, t| put(t, tensor("first.bias", &[5])));
    file.client("format 2", |d, _| d["format"] = json!(2));
    file.client("unknown field `extra`", |d, _| d["extra"] = json!("x"));
    file.client("unknown field", |d, _| d["policy"]["kind"]["extra"] = json!(1));
    file.client("missing field `plan`", |d, _| drop(d.as_object_mut().unwrap().remove("plan")));
    file.client("description of this version", |d, _| d["prior_share"] = Value::Null);
    file.client("description of this version", |d, _| d["policy"]["kind"]["kind"] = json!("forest"));

    // Sizes that the file does not back with numbers are refused before anything is allocated.
    let huge = [1u64 << 32, 1 << 40, u64::MAX];
    for size in huge {
        file.client("numbers for a policy of", |d, _| d["policy"]["kind"]["hidden"] = json!([size]));
        file.client("numbers for a policy of", |d, _| d["policy"]["kind"]["hidden"] = json!([4, size, size]));
        for field in ["rows", "width", "n_forward", "n_backward"] {
            file.client("environment choose", |d, _| d["policy"]["env"][field] = json!(size));
        }
    }
    file.client("environment choose", |d, _| {
        d["policy"]["env"]["rows"] = json!(1u64 << 20);
        d["policy"]["env"]["width"] = json!(1u64 << 20);
    });
    file.client("numbers for a policy of", |d, _| d["policy"]["env"]["width"] = json!(1u64 << 31));
    file.client("numbers for a policy of", |d, _| d["policy"]["kind"]["table_bits"] = json!(24));
    file.client("table_bits", |d, _| d["policy"]["kind"]["table_bits"] = json!(3));
    file.client("numbers for a policy of", |d, _| d["policy"]["kind"]["table_bits"] = json!(200));
    file.client("hidden", |d, _| d["policy"]["kind"]["hidden"] = json!([]));
    file.client("environment choose", |d, _| d["policy"]["env"]["n_forward"] = json!(0));
    // Another architecture with the same sizes of the file.
    file.client("tensor linear_path", |d, _| d["policy"]["kind"]["linear_path"] = json!(true));
    file.client("tensor embedding.weight", |d, _| {
        d["policy"]["kind"] = json!({"kind": "set-encoder", "hidden": 4, "pair_width": 2});
    });
    file.client("tensor logits", |d, _| d["policy"]["kind"] = json!({"kind": "tabular"}));
    file.client("tensor first.bias", |d, _| d["policy"]["kind"] = json!({"kind": "uniform"}));
    file.client("numbers for a policy of", |d, _| {
        d["policy"]["kind"] = json!({"kind": "set-encoder", "hidden": 1u64 << 60, "pair_width": u64::MAX});
    });
}

#[test]
fn tables_with_wrong_contents_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.safetensors");
    client(&Choose::new(4, 3), PolicyKind::Tabular, "a").save(&path).unwrap();
    let file = Rewrite::of(&path);
    let shape = file.tensors["logits"].shape.clone();
    file.client("tensor logits", |_, t| t.get_mut("logits").unwrap().shape = vec![shape[1], shape[0]]);
    file.client("tensor logits", |_, t| put(t, tensor("logits", &[shape[0], shape[1] + 1])));
    file.client("tensor logits", |_, t| put(t, tensor("logits", &[shape[0] - 1, shape[1]])));
    file.client("tensor logits", |_, t| t.get_mut("state_bits").unwrap().shape = vec![shape[0] * 8]);
    file.client("tensor logits", |_, t| put(t, tensor("state_bits", &[shape[0], 7])));
    file.client("tensor state_bits", |_, t| t.get_mut("state_bits").unwrap().values[2] = 0.5);
    file.client("tensor state_bits", |_, t| t.get_mut("state_bits").unwrap().values[2] = -1.0);
    file.client("tensor state_bits", |_, t| t.get_mut("state_bits").unwrap().values[2] = 65536.0);
    // All states the same one.
    file.client("tensor state_bits", |_, t| put(t, tensor("state_bits", &[shape[0], 8])));
    file.client("tensor more", |_, t| put(t, tensor("more", &[0])));
    file.client("tensor logits", |_, t| t.get_mut("logits").unwrap().values[0] = f32::NAN);
}

#[test]
fn aggregates_with_wrong_contents_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("global.safetensors");
    server(&Choose::new(4, 3), vec![mlp(), mlp()], mlp()).save(&path).unwrap();
    let file = Rewrite::of(&path);
    file.server("format 3", |d, _| d["format"] = json!(3));
    file.server("unknown field `extra`", |d, _| d["extra"] = json!(0));
    file.server("tensor more", |_, t| put(t, tensor("more", &[1])));
    file.server("tensor more", |_, t| put(t, tensor("client/1/more", &[1])));
    file.server("client/2/first.bias", |_, t| put(t, tensor("client/2/first.bias", &[4])));
    file.server("tensor first.bias", |_, t| drop(t.remove("client/1/first.bias")));
    file.server("tensor first.bias", |_, t| drop(t.remove("residual/first.bias")));
    file.server("at least one client", |d, t| {
        d["clients"] = json!([]);
        t.retain(|name, _| name.starts_with("residual/"));
    });
    file.server("2 clients", |d, t| {
        d["residual"] = Value::Null;
        t.retain(|name, _| name.starts_with("client/"));
    });
    file.server("tensors of a residual", |d, t| {
        d["residual"] = Value::Null;
        d["clients"].as_array_mut().unwrap().pop();
        t.retain(|name, _| !name.starts_with("client/1/"));
    });
    file.server("weight of client 1", |d, _| d["clients"][1][1] = json!(-1.0));
    file.server("environment choose", |d, _| {
        d["residual"]["env"]["fingerprint"] = json!("another");
    });
    file.server("client 1", |d, _| d["clients"][1][0]["policy"]["env"]["fingerprint"] = json!("another"));
}

#[test]
fn files_of_other_plans_and_environments_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.safetensors");
    let env = Choose::new(4, 3);
    client(&env, mlp(), "a").save(&path).unwrap();
    let loaded = ClientModel::load(&path).unwrap();
    let own = env.spec();
    loaded.check_plan(&path, "plan-1", own).unwrap();
    let error = refused(loaded.check_plan(&path, "plan-2", own), &path, "another plan");
    assert!(error.contains("plan-1") && error.contains("plan-2"), "{error}");
    let other = Choose::new(5, 3).spec().clone();
    let error = refused(loaded.check_plan(&path, "plan-1", &other), &path, "another environment");
    assert!(error.contains(&own.fingerprint) && error.contains(&other.fingerprint), "{error}");
    // A forged fingerprint does not help: sizes count as well.
    let forged = EnvSpec { fingerprint: own.fingerprint.clone(), ..other };
    refused(loaded.check_plan(&path, "plan-1", &forged), &path, "other sizes");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn writing_is_atomic_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.safetensors");
    let model = client(&Choose::new(4, 3), mlp(), "a");
    model.save(&path).unwrap();
    let first = std::fs::read(&path).unwrap();
    model.save(&path).unwrap();
    assert_eq!(names(folder.path()), ["client.safetensors"]);
    assert_eq!(std::fs::read(&path).unwrap(), first);

    // A file where the folder should be, and a folder where the file should be.
    let inside = path.join("inside.safetensors");
    let error = model.save(&inside).expect_err("no folder").to_string();
    assert!(error.contains("client.safetensors"), "{error}");
    let taken = folder.path().join("taken");
    std::fs::create_dir_all(taken.join("full")).unwrap();
    let error = model.save(&taken).expect_err("a folder has the name").to_string();
    assert!(error.starts_with(taken.to_str().unwrap()), "{error}");
    assert_eq!(names(folder.path()), ["client.safetensors", "taken"]);
    assert_eq!(std::fs::read(&path).unwrap(), first);

    // A description that cannot be written leaves the old file, too.
    tensor_file::save(&path, &"text", &[]).expect_err("no fields");
    let mut wrong = tensor("a", &[2]);
    wrong.shape = vec![3];
    tensor_file::save(&path, &json!({}), &[wrong]).expect_err("a shape that is not that of the numbers");
    assert_eq!(std::fs::read(&path).unwrap(), first);
    write_atomically(&path, b"new").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(names(folder.path()), ["client.safetensors", "taken"]);
}

#[test]
fn a_spec_is_refused_only_for_sizes_that_are_not_in_the_file() {
    // Every family and every option: what is saved is read, so the count of numbers is not too high by much.
    let grid = Grid::new(2, 40).unwrap();
    for hidden in [vec![2000, 900], vec![3], vec![1000, 10, 1000]] {
        let settings = MlpSettings { hidden, linear_path: true, ..MlpSettings::default() };
        let spec = PolicySpec { flow: true, ..policy_spec(&grid, PolicyKind::Mlp(settings)) };
        let tensors = spec.build(1).unwrap().tensors();
        spec.restore(shared::tensor_map(tensors)).unwrap();
    }
    let settings = SetEncoderSettings { hidden: 700, pair_width: 600, activation: Activation::LeakyRelu };
    let spec = policy_spec(&Arrows::new(), PolicyKind::SetEncoder(settings));
    spec.restore(shared::tensor_map(spec.build(1).unwrap().tensors())).unwrap();
}
