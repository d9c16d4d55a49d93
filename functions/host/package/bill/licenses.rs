//! Licences: their expressions as SPDX writes them, their texts as the crates ship them, and the file that holds all of it.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use super::{BillError, License, Part};

/// Crates that ship no text say which licence; who holds the copyright is what their repository says. Looked at by a person.
const HOLDERS: [(&str, &str); 2] =
    [("https://github.com/azure/azure-sdk-for-rust", "Microsoft Corporation."), ("https://github.com/Nugine/simd", "Nugine")];

/// What files with a licence or a notice are called.
const NAMES: [&str; 6] = ["license", "licence", "copying", "notice", "copyright", "unlicense"];

/// `MIT/Apache-2.0` is how manifests wrote `MIT OR Apache-2.0` once.
pub(super) fn expression(manifest: &str) -> String {
    manifest.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

/// Of the crate in this folder; `None` where there is none and nobody named who holds the copyright.
pub(super) fn texts_of(folder: &Path, repository: Option<&str>) -> Result<Option<Vec<String>>, BillError> {
    let failed = |source| BillError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if NAMES.iter().any(|start| name.starts_with(start)) && entry.path().is_file() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let texts: Vec<String> = paths.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
    if !texts.is_empty() {
        return Ok(Some(texts));
    }
    let holder = HOLDERS.iter().find(|(at, _)| repository.is_some_and(|repository| repository.starts_with(at)));
    Ok(holder.map(|(_, holder)| vec![include_str!("MIT.txt").replace("<holder>", holder)]))
}

pub(super) fn read(path: &Path) -> Result<String, BillError> {
    let bytes = fs::read(path).map_err(|source| BillError::Read { path: path.to_owned(), source })?;
    Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
}

/// A list of all that is in the program, then each text once with whom it is of.
pub(super) fn written(parts: &[Part]) -> String {
    let parts: Vec<&Part> = parts.iter().filter(|part| !part.only_builds).collect();
    let mut file = "What is linked into the program beside Assay's own code (Apache-2.0, in LICENSE), and the licences of it.\n\
        What the Rust standard library holds is in RUST-LIBRARY-COPYRIGHT.html; checksums and what uses what in sbom.cdx.json.\n\n"
        .to_owned();
    let mut texts: BTreeMap<&str, Vec<&Part>> = BTreeMap::new();
    for part in parts {
        let _ = writeln!(file, "{}: {}", part.title(), part.license.words());
        for text in &part.texts {
            texts.entry(text.trim()).or_default().push(part);
        }
    }
    let mut texts: Vec<(Vec<&Part>, &str)> = texts.into_iter().map(|(text, of)| (of, text)).collect();
    texts.sort();
    for (of, text) in texts {
        let titles: Vec<String> = of.iter().map(|part| part.title()).collect();
        let _ = write!(file, "\n{}\n{}\n\n{text}\n", "=".repeat(78), titles.join(", "));
    }
    file
}

impl Part {
    /// As both files name it.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

impl License {
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Spdx(expression) => expression,
            Self::Named(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_of_an_older_manifest_reads_as_spdx_writes_it() {
        for (manifest, spdx) in
            [("MIT/Apache-2.0", "MIT OR Apache-2.0"), ("Apache-2.0 / MIT", "Apache-2.0 OR MIT"), ("ISC AND MIT", "ISC AND MIT")]
        {
            assert_eq!(expression(manifest), spdx);
        }
    }

    #[test]
    fn a_crate_without_a_text_has_one_only_where_somebody_named_the_holder() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("licenses")).expect("a folder");
        assert_eq!(texts_of(folder.path(), Some("https://github.com/somebody/else")).expect("read"), None);
        assert_eq!(texts_of(folder.path(), None).expect("read"), None);
        let azure = texts_of(folder.path(), Some("https://github.com/azure/azure-sdk-for-rust")).expect("read").expect("one");
        assert!(azure[0].contains("Copyright (c) Microsoft Corporation.\n"), "{azure:?}");
        fs::write(folder.path().join("LICENSE-MIT"), "its own\r\n").expect("written");
        assert_eq!(texts_of(folder.path(), None).expect("read"), Some(vec!["its own\n".to_owned()]));
    }
}
