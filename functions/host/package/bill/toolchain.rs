//! What the toolchain adds to the program: Rust's standard library, and what zig links in so that an older glibc takes it.

use std::path::{Path, PathBuf};

use super::{
    BillError, License, Part,
    cargo::run,
    licenses::{self, read},
};

pub(super) struct RustLibrary {
    pub(super) part: Part,
    /// The toolchain's own page with everything that the library is made of.
    pub(super) notices: String,
}

pub(super) fn rust_library(checkout: &Path) -> Result<RustLibrary, BillError> {
    let version = run("rustc", &["--version", "--verbose"], checkout)?;
    let release = version.lines().find_map(|line| line.strip_prefix("release: ")).unwrap_or_default();
    let documents = PathBuf::from(run("rustc", &["--print=sysroot"], checkout)?.trim()).join("share/doc/rust");
    let notices = read(&documents.join("COPYRIGHT-library.html"))?;
    let texts = ["Apache-2.0.txt", "MIT.txt"].iter().map(|name| read(&documents.join("licenses").join(name))).collect::<Result<_, _>>()?;
    let license = License::Spdx(licenses::expression("MIT OR Apache-2.0"));
    Ok(RustLibrary { part: part("rust-std", release, license, "https://github.com/rust-lang/rust", texts), notices })
}

/// Zig's own runtime, LLVM's unwinder, and the start of every program that uses the GNU C library, which itself stays outside.
pub(super) fn linked_by_zig(zig: &Path) -> Result<[Part; 3], BillError> {
    let version = run(&zig.join("zig").to_string_lossy(), &["version"], zig)?;
    let version = version.trim();
    let text = |path: &str| read(&zig.join(path)).map(|text| vec![text]);
    let zig_org = "https://codeberg.org/ziglang/zig";
    let llvm = License::Spdx("Apache-2.0 WITH LLVM-exception".into());
    let start = License::Named("LGPL-2.1-or-later with unlimited permission to link its start files and to distribute what is linked");
    let start_texts = [text("lib/libc/glibc/LICENSES")?, vec![START_NOTICE.to_owned()]].concat();
    Ok([
        part("zig-compiler-rt", version, License::Spdx("MIT".into()), zig_org, text("LICENSE")?),
        part("zig-libunwind", version, llvm, zig_org, text("lib/libunwind/LICENSE.TXT")?),
        part("zig-glibc-start-files", version, start, zig_org, start_texts),
    ])
}

/// What `csu/` and `sysdeps/x86_64/start.S` of the GNU C library say of themselves.
const START_NOTICE: &str = include_str!("glibc-start.txt");

fn part(name: &str, version: &str, license: License, repository: &str, texts: Vec<String>) -> Part {
    Part {
        name: name.into(),
        version: version.into(),
        purl: format!("pkg:generic/{name}@{version}"),
        license,
        checksum: None,
        repository: Some(repository.into()),
        only_builds: false,
        texts,
        uses: Vec::new(),
    }
}
