//! Opening a C library by the first of its names that the loader finds. Must not know what the library does.
#![allow(unsafe_code, reason = "the loader is C; whoever asks for a symbol answers for its type")]

use super::Error;
use libloading::os::unix::{Library as File, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use std::error::Error as _;

/// A library that stays loaded until the process ends: unloading would pull code away from under threads and exit
/// handlers of its own.
pub(super) struct Opened {
    file: &'static File,
    /// The name or path it was found by.
    pub(super) name: String,
    advice: &'static str,
}

/// Opens the first of `names` that can be opened; `what` and `advice` are for the message when none can. `global` puts
/// its symbols where its own plug-ins look for them.
pub(super) fn open(what: &'static str, names: &[String], global: bool, advice: &'static str) -> Result<Opened, Error> {
    let flags = RTLD_NOW | if global { RTLD_GLOBAL } else { RTLD_LOCAL };
    let mut tried = Vec::new();
    for name in names {
        // SAFETY: this runs the library's own start-up code, as a program linked to it would.
        match unsafe { File::open(Some(name), flags) } {
            Ok(file) => return Ok(Opened { file: Box::leak(Box::new(file)), name: name.clone(), advice }),
            // The loader's own words are one below.
            Err(error) => tried.push(error.source().map_or_else(|| format!("{name}: {error}"), ToString::to_string)),
        }
    }
    Err(Error::LibraryMissing { what, tried, advice })
}

impl Opened {
    /// The function or address of this name.
    ///
    /// # Safety
    /// `F` is a pointer, of the type that the library's header declares.
    pub(super) unsafe fn symbol<F: Copy>(&self, symbol: &str) -> Result<F, Error> {
        // SAFETY: the caller's.
        match unsafe { self.file.get::<F>(symbol) } {
            Ok(found) => Ok(*found),
            Err(_) => Err(self.unfit(format!("it has no {symbol}"))),
        }
    }

    /// The error that this library is not the one it should be.
    pub(super) fn unfit(&self, detail: String) -> Error {
        Error::LibraryUnfit { library: self.name.clone(), detail, advice: self.advice }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_told_with_all_names_and_what_to_do() {
        let names = ["libno-such-thing.so.1".to_owned(), "/no/such/folder/lib.so".to_owned()];
        let error = open("a library", &names, false, "install it").err().unwrap().to_string();
        assert!(error.contains("libno-such-thing.so.1: cannot open shared object file"), "{error}");
        assert!(error.contains("/no/such/folder/lib.so") && error.ends_with("install it"), "{error}");
    }

    #[test]
    fn a_symbol_that_is_not_there_makes_the_library_unfit() {
        let library = open("the C library", &["libc.so.6".to_owned()], false, "install it").unwrap();
        // SAFETY: an address that is not used.
        let error = unsafe { library.symbol::<*const u8>("ncclAllReduce") }.unwrap_err().to_string();
        assert!(error.contains("libc.so.6") && error.contains("ncclAllReduce"), "{error}");
    }
}
