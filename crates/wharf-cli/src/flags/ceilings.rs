//! How many requests of each kind a registry gets at a time: parsing and printing (wire.md R7).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use wharf::remote::Limits;

/// The most requests of each kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ceilings(Limits);

/// The largest useful number.
const MOST: usize = 4096;

impl Ceilings {
    /// The library's limits; a registry may ask to wait for at most `patience`.
    pub(super) fn limits(self, patience: Duration) -> Limits {
        Limits { patience, ..self.0 }
    }
}

impl FromStr for Ceilings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut limits = Limits::default();
        for part in text.split(',') {
            let (kind, number) = part.split_once('=').ok_or("not KIND=N")?;
            let place = match kind {
                "checks" => &mut limits.checks,
                "opens" => &mut limits.opens,
                "sends" => &mut limits.sends,
                "manifests" => &mut limits.manifests,
                "reads" => &mut limits.reads,
                _ => {
                    let kinds = "checks, opens, sends, manifests and reads";
                    return Err(format!("unknown kind {kind:?}; the kinds are {kinds}"));
                }
            };
            let number = number.parse().ok();
            *place = number
                .filter(|number| (1..=MOST).contains(number))
                .ok_or_else(|| format!("{kind} must be a number from 1 to {MOST}"))?;
        }
        Ok(Ceilings(limits))
    }
}

impl fmt::Display for Ceilings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits {
            checks,
            opens,
            sends,
            manifests,
            reads,
            ..
        } = self.0;
        write!(
            f,
            "checks={checks},opens={opens},sends={sends},manifests={manifests},reads={reads}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r7_what_is_not_typed_is_what_the_library_does() {
        let typed: Ceilings = "sends=2,checks=1".parse().unwrap();
        let limits = typed.limits(Duration::from_secs(7));
        let expected = Limits {
            sends: 2,
            checks: 1,
            patience: Duration::from_secs(7),
            ..Limits::default()
        };
        assert_eq!(limits, expected);
        let again: Ceilings = Ceilings::default().to_string().parse().unwrap();
        assert_eq!(again.0, Limits::default());
    }

    #[test]
    fn r7_what_makes_no_sense_is_refused_with_the_reason() {
        for (text, expected) in [
            ("", "not KIND=N"),
            ("4", "not KIND=N"),
            ("sends=0", "sends must be a number from 1 to 4096"),
            ("sends=4097", "sends must be a number from 1 to 4096"),
            ("reads=-1", "reads must be a number from 1 to 4096"),
            (
                "pushes=1",
                "unknown kind \"pushes\"; the kinds are checks, opens, sends, manifests and reads",
            ),
        ] {
            assert_eq!(text.parse::<Ceilings>().unwrap_err(), expected);
        }
    }
}
