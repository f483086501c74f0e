//! Converts errors of the system and of `wharf-oci` to errors of the library.

use super::error::Error;
use super::kind::ErrorKind;

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        // An error of the library inside a system error.
        let error = match error.downcast::<Error>() {
            Ok(ours) => return ours,
            Err(error) => error,
        };
        let kind = match error.kind() {
            Io::NotFound => ErrorKind::NotFound,
            Io::StorageFull | Io::QuotaExceeded => ErrorKind::NoSpace,
            Io::UnexpectedEof | Io::InvalidData => ErrorKind::Corrupt,
            _ => ErrorKind::Io,
        };
        Error::new(kind, plain(&error))
    }
}

/// The system's text without Rust's "(os error 2)" and in lower case.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

impl From<wharf_oci::ManifestError> for Error {
    fn from(error: wharf_oci::ManifestError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::ReferenceError> for Error {
    fn from(error: wharf_oci::ReferenceError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::RegistryError> for Error {
    fn from(error: wharf_oci::RegistryError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::PlatformError> for Error {
    fn from(error: wharf_oci::PlatformError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::ConfigError> for Error {
    fn from(error: wharf_oci::ConfigError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::NameError> for Error {
    fn from(error: wharf_oci::NameError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::DigestError> for Error {
    fn from(error: wharf_oci::DigestError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<wharf_oci::MediaTypeError> for Error {
    fn from(error: wharf_oci::MediaTypeError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_the_system_said_without_its_number() {
        let error = Error::io("/nowhere", std::io::Error::from_raw_os_error(2));
        assert_eq!(error.to_string(), "/nowhere: no such file or directory");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_full_disk_is_its_own_kind() {
        let error = Error::from(std::io::Error::from_raw_os_error(28));
        assert_eq!(error.kind(), ErrorKind::NoSpace);
    }
}
