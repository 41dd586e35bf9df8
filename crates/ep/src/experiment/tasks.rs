//! Cells dealt to threads: each task stays on one thread, and what it measured is written as soon as it is done.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use gfn_core::{Error, ErrorKind, Place, Result};

use super::results::{Cell, Results};
use crate::process;

/// Seconds a task took, its evaluation included; kept with its first cell.
pub const TASK_SECONDS: &str = "task_seconds";

/// What a task measured.
#[derive(Default)]
pub struct Record {
    cells: BTreeMap<Cell, Vec<(String, f64)>>,
}

impl Record {
    /// Keeps a measurement of a cell. Names of metrics hold no commas; `metric@x` is one taken along the way, at x.
    pub fn add(&mut self, cell: &Cell, metric: impl Into<String>, value: f64) {
        self.cells.entry(cell.clone()).or_default().push((metric.into(), value));
    }
}

/// The work of a task.
pub type Work = Box<dyn FnOnce(&mut Record) -> Result<()> + Send>;

/// Work that computes some cells together, such as all methods that share the same trained clients.
pub struct Task {
    /// The cells; the task is left out where all of them are known.
    pub cells: Vec<Cell>,
    /// Measures something of every one of them.
    pub work: Work,
}

impl Task {
    /// A task for these cells.
    pub fn new(cells: Vec<Cell>, work: impl FnOnce(&mut Record) -> Result<()> + Send + 'static) -> Self {
        Task { cells, work: Box::new(work) }
    }

    fn name(&self) -> String {
        let first = &self.cells[0];
        let mut methods: Vec<&str> = self.cells.iter().map(|cell| cell.method.as_str()).collect();
        methods.dedup();
        format!("{}, {}, {} clients, seed {}", first.domain, methods.join(" + "), first.clients, first.seed)
    }
}

/// Does all tasks that are not done yet, on `threads` threads. The first error ends it; finished cells are kept.
pub fn run(tasks: Vec<Task>, results: &mut Results, threads: usize) -> Result<()> {
    let missing: Vec<Task> =
        tasks.into_iter().filter(|task| task.cells.iter().any(|cell| !results.has(cell))).collect();
    let total = missing.len();
    let threads = threads.clamp(1, total.max(1));
    let queue = Mutex::new(missing.into_iter());
    let results = Mutex::new(results);
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let Some(task) = queue.lock().expect("no panic while it is held").next() else { break };
            let (name, started) = (task.name(), Instant::now());
            let finished =
                perform(task).and_then(|cells| results.lock().expect("no panic while it is held").add(cells));
            match finished {
                Ok(()) => {
                    let number = done.fetch_add(1, Ordering::Relaxed) + 1;
                    eprintln!("[{number}/{total}] {name}: {:.1} s", started.elapsed().as_secs_f64());
                }
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    failed.lock().expect("no panic while it is held").get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            // A pool of one thread: whatever a task would deal out to a pool stays on the thread of the task.
            scope.spawn(|| match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
                Ok(pool) => pool.install(work),
                Err(_) => work(),
            });
        }
    });
    failed.into_inner().expect("all threads are done").map_or(Ok(()), Err)
}

fn perform(task: Task) -> Result<BTreeMap<Cell, Vec<(String, f64)>>> {
    process::stop_if_interrupted("the experiment")?;
    let started = Instant::now();
    let mut record = Record::default();
    (task.work)(&mut record)?;
    record.add(&task.cells[0], TASK_SECONDS, started.elapsed().as_secs_f64());
    for cell in &task.cells {
        let rows = record.cells.get(cell).map_or(&[][..], |rows| rows);
        let strange = rows.iter().find(|(_, value)| value.is_nan());
        if rows.is_empty() || strange.is_some() {
            let found = strange.map_or("nothing".into(), |(metric, _)| format!("{metric} = NaN"));
            let place = Place::item(format!("{cell:?}"));
            return Err(Error::new(ErrorKind::Input, place, "numbers", found, "report this as a bug"));
        }
    }
    Ok(record.cells)
}
