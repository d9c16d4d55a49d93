//! What a program asks of the Linux that runs it: x86-64, and no newer C library than the Functions host's image has.
//!
//! The host's images are Debian 11 and 12 (glibc 2.31 and 2.36). A program that was linked on a newer Linux names newer symbols,
//! and then the loader refuses it, which the host shows as a handler that is never ready.

use std::{fmt, str::FromStr};

use object::{
    elf::{DT_NEEDED, EM_X86_64, FileHeader64},
    endian::LittleEndian,
    read::elf::{FileHeader as _, SectionHeader as _},
};

/// A version of the GNU C library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc {
    pub major: u32,
    pub minor: u32,
}

/// The oldest that the Functions host runs on (Debian 11).
pub const NEWEST_GLIBC: Glibc = Glibc { major: 2, minor: 31 };

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// `GLIBC_2.31`, also with a third number, which says nothing more.
impl FromStr for Glibc {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.strip_prefix("GLIBC_").ok_or(())?.split('.').map(|number| number.parse().map_err(drop));
        let (major, minor) = (numbers.next().ok_or(())??, numbers.next().ok_or(())??);
        Ok(Self { major, minor })
    }
}

/// What was found; `glibc` is `None` for a program that asks for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asks {
    pub(super) glibc: Option<Glibc>,
    /// Shared libraries that are not there wherever the host is.
    pub(super) libraries: Vec<String>,
}

/// Those of the C library, and the one of the compiler that the host itself (.NET) needs.
const THERE: [&str; 7] = ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2", "libgcc_s.so.1"];

/// Why it is no program for the host, in words.
pub(super) fn asks(program: &[u8]) -> Result<Asks, String> {
    let header = FileHeader64::<LittleEndian>::parse(program).map_err(|_| "it is no 64-bit ELF program".to_owned())?;
    let endian = header.endian().map_err(|_| "it is no little-endian program".to_owned())?;
    if header.e_machine(endian) != EM_X86_64 {
        return Err("it is for another processor than x86-64".into());
    }
    let broken = |error: object::read::Error| format!("its tables cannot be read ({error})");
    let sections = header.sections(endian, program).map_err(broken)?;
    let mut newest = None;
    for section in sections.iter() {
        let Some((mut needs, link)) = section.gnu_verneed(endian, program).map_err(broken)? else { continue };
        let names = sections.strings(endian, program, link).map_err(broken)?;
        while let Some((_, mut versions)) = needs.next().map_err(broken)? {
            while let Some(version) = versions.next().map_err(broken)? {
                let name = version.name(endian, names).map_err(broken)?;
                newest = newest.max(std::str::from_utf8(name).ok().and_then(|name| name.parse::<Glibc>().ok()));
            }
        }
    }
    let mut libraries = Vec::new();
    let table = sections.dynamic_table(endian, program).map_err(broken)?;
    for needed in table.iter().filter(|entry| entry.tag == DT_NEEDED) {
        let name = String::from_utf8_lossy(table.string(needed).map_err(broken)?).into_owned();
        if !THERE.contains(&name.as_str()) {
            libraries.push(name);
        }
    }
    Ok(Asks { glibc: newest, libraries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        let glibc = |text: &str| text.parse::<Glibc>();
        assert!(glibc("GLIBC_2.9").expect("one") < glibc("GLIBC_2.31").expect("one"));
        assert_eq!(glibc("GLIBC_2.2.5"), Ok(Glibc { major: 2, minor: 2 }));
        assert_eq!((glibc("GLIBC_PRIVATE"), glibc("GCC_3.0"), glibc("GLIBC_2")), (Err(()), Err(()), Err(())));
    }

    #[test]
    fn this_very_program_says_what_it_asks_for_and_rubbish_says_that_it_is_none() {
        let own = std::fs::read(std::env::current_exe().expect("its path")).expect("read");
        let of_own = asks(&own).expect("a program");
        assert!(of_own.glibc.is_some() && of_own.libraries.is_empty(), "{of_own:?}");
        for cut in [0, 3, 64, 4096] {
            assert!(asks(&own[..cut]).is_err(), "{cut}");
        }
    }
}
