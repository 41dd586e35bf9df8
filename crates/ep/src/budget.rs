//! How much training a run gets, and how it is divided among its stages.

use std::fmt;
use std::str::FromStr;

use gfn_core::trainer::Budget;
use gfn_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Training for a whole run: wall-clock time, or steps of a client.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RunBudget {
    /// Seconds of wall-clock time for all training stages together.
    Seconds(f64),
    /// Steps per client; in a run of all stages the server and later rounds take half of that each. Results repeat bit
    /// for bit.
    Steps(u64),
}

/// What each stage gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StageBudgets {
    /// A client's first training.
    pub client: Budget,
    /// A client's training in an extra round.
    pub client_round: Budget,
    /// The server's training, each time.
    pub server: Budget,
}

impl RunBudget {
    /// All of it for one stage.
    pub fn whole(self) -> Budget {
        match self {
            RunBudget::Seconds(seconds) => Budget::Seconds(seconds),
            RunBudget::Steps(steps) => Budget::Steps(steps),
        }
    }

    /// Divides the budget among stages, with `clients` trained on `threads` threads at a time; `parts` of time are those of
    /// [`Domain::time_parts`](gfn_core::domain::Domain::time_parts).
    pub fn divide(self, clients: usize, threads: usize, rounds: u32, parts: [f64; 3]) -> StageBudgets {
        match self {
            RunBudget::Steps(n) => StageBudgets {
                client: Budget::Steps(n),
                client_round: Budget::Steps(n / 2),
                server: Budget::Steps(n / 2),
            },
            RunBudget::Seconds(seconds) if clients == 1 => StageBudgets {
                client: Budget::Seconds(seconds),
                client_round: Budget::Seconds(seconds),
                server: Budget::Seconds(seconds),
            },
            RunBudget::Seconds(seconds) => {
                // Clients take turns on the threads.
                let crowding = clients.div_ceil(threads) as f64;
                let [client, server, round] = parts;
                let all = crowding * client + server + f64::from(rounds) * (crowding * round + server);
                let unit = seconds / all;
                StageBudgets {
                    client: Budget::Seconds(unit * client),
                    client_round: Budget::Seconds(unit * round),
                    server: Budget::Seconds(unit * server),
                }
            }
        }
    }
}

impl fmt::Display for RunBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunBudget::Seconds(s) => write!(f, "{s}s"),
            RunBudget::Steps(n) => write!(f, "{n}steps"),
        }
    }
}

impl From<RunBudget> for String {
    fn from(budget: RunBudget) -> String {
        budget.to_string()
    }
}

impl TryFrom<String> for RunBudget {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl FromStr for RunBudget {
    type Err = Error;

    /// Reads `60s`, `2m`, `1h` or `4000steps`.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::usage(
                "budget",
                "a time such as 60s, 5m or 1h, or a number of steps such as 4000steps",
                format!("`{text}`"),
                "write for example --budget 60s",
            )
        };
        let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(refuse)?;
        let (number, unit) = text.split_at(split);
        let number: f64 = number.trim().parse().map_err(|_| refuse())?;
        let seconds = match unit {
            "s" => number,
            "m" | "min" => number * 60.0,
            "h" => number * 3600.0,
            "steps" | "step" if number >= 2.0 && number.fract() == 0.0 && number < 1e12 => {
                return Ok(RunBudget::Steps(number as u64));
            }
            _ => return Err(refuse()),
        };
        if seconds.is_finite() && seconds > 0.0 { Ok(RunBudget::Seconds(seconds)) } else { Err(refuse()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_steps_are_read_and_nonsense_refused() {
        assert_eq!("60s".parse::<RunBudget>().unwrap(), RunBudget::Seconds(60.0));
        assert_eq!("1.5m".parse::<RunBudget>().unwrap(), RunBudget::Seconds(90.0));
        assert_eq!("4000steps".parse::<RunBudget>().unwrap(), RunBudget::Steps(4000));
        for text in ["", "60", "s", "-3s", "0s", "1.5steps", "10parsecs", "nans", "infs"] {
            assert!(text.parse::<RunBudget>().is_err(), "{text}");
        }
    }

    #[test]
    fn stages_together_take_the_whole_time() {
        for (clients, threads, rounds) in [(5, 2, 1), (4, 2, 0), (2, 8, 3)] {
            let b = RunBudget::Seconds(60.0).divide(clients, threads, rounds, [7.0, 3.0, 5.0]);
            let s = |b: Budget| match b {
                Budget::Seconds(s) => s,
                Budget::Steps(_) => f64::NAN,
            };
            let crowding = clients.div_ceil(threads) as f64;
            let rounds = f64::from(rounds);
            let total =
                crowding * s(b.client) + (1.0 + rounds) * s(b.server) + rounds * crowding * s(b.client_round);
            assert!((total - 60.0).abs() < 1e-9);
        }
    }
}
