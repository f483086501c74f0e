//! What could not be written.

use std::fmt;

/// What was left out of a directory, because this user may not set it or the file system does not
/// have it. Its text is for people; it is empty if nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Entries that belong to the user of the process, and not to the owner that the image states.
    pub owners: u64,
    /// Devices.
    pub devices: u64,
    /// Extended attributes.
    pub attributes: u64,
    /// Files without their setuid or setgid bit, because that would mean another user.
    pub set_ids: u64,
}

impl LeftOut {
    /// Whether nothing was left out.
    pub fn is_empty(&self) -> bool {
        *self == LeftOut::default()
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.owners, "owner", "owners"),
            (self.devices, "device", "devices"),
            (self.attributes, "extended attribute", "extended attributes"),
            (
                self.set_ids,
                "setuid or setgid bit",
                "setuid or setgid bits",
            ),
        ];
        let mut first = true;
        for (count, one, many) in all.into_iter().filter(|(count, ..)| *count > 0) {
            let comma = if first { "" } else { ", " };
            let thing = if count == 1 { one } else { many };
            write!(f, "{comma}{count} {thing}")?;
            first = false;
        }
        Ok(())
    }
}
