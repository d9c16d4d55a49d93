//! The zip that is installed: what is in it, what its directory says, and what keeps one from being made.

use std::{
    fs,
    io::{Cursor, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use assay::{
    host::package::{
        Bill, EXECUTABLE, Fault, Glibc,
        bill::{BillError, LICENSES, OWN_LICENSE, RUST_LIBRARY, SBOM},
        check, zipped,
    },
    tenancy::seal::sha256,
    triggers::check::{DEFINITIONS, HOST_JSON},
};
use serde_json::{Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

/// The head of a program that asks for nothing.
fn program() -> Vec<u8> {
    let mut head = vec![0; 64];
    head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    // e_type: a program; e_machine: x86-64; e_version; e_ehsize.
    (head[16], head[18], head[20], head[52]) = (2, 62, 1, 64);
    head
}

/// What a program is made of that is made of one crate.
fn bill(program: &[u8]) -> Bill {
    let sbom = json!({
        "metadata": { "component": { "hashes": [{ "alg": "SHA-256", "content": sha256(program) }] } },
        "components": [{ "name": "serde", "version": "1.0.0", "scope": "required" }],
    });
    let texts = ["Apache-2.0", "<html>", "serde 1.0.0: MIT OR Apache-2.0\n\nits text"].map(str::to_owned);
    let [own, library, licenses] = texts;
    Bill { files: vec![(OWN_LICENSE, own), (RUST_LIBRARY, library), (LICENSES, licenses), (SBOM, sbom.to_string())] }
}

/// A package made by hand.
fn by_hand(files: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes, mode) in files {
        zip.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What a package holds, as paths, bytes and modes.
fn whole(program: &[u8]) -> Vec<(String, Vec<u8>, u32)> {
    let definitions = DEFINITIONS.iter().map(|(name, text)| (format!("{name}/function.json"), text.as_bytes().to_vec(), 0o644));
    let host = ("host.json".to_owned(), HOST_JSON.as_bytes().to_vec(), 0o644);
    let legal = bill(program).files.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes(), 0o644));
    [host].into_iter().chain(definitions).chain(legal).chain([(EXECUTABLE.to_owned(), program.to_vec(), 0o755)]).collect()
}

/// The same with one thing changed.
fn faults(change: impl FnOnce(&mut Vec<(String, Vec<u8>, u32)>)) -> Vec<String> {
    let mut files = whole(&program());
    change(&mut files);
    let files: Vec<(&str, &[u8], u32)> = files.iter().map(|(name, bytes, mode)| (name.as_str(), bytes.as_slice(), *mode)).collect();
    check(&by_hand(&files)).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn the_zip_holds_what_the_host_reads_and_one_program_that_can_be_started() {
    let bytes = zipped(&program(), &bill(&program())).unwrap();
    assert_eq!(bytes, zipped(&program(), &bill(&program())).unwrap(), "the same program, the same bytes");
    let checked = check(&bytes).unwrap();
    assert_eq!((checked.bytes, checked.glibc), (bytes.len(), None));
    assert!(checked.to_string().contains("asks for no C library; SHA-256 "), "{checked}");
    // The central directory, read as bytes: APPNOTE.TXT 4.3.12.
    let mut modes = Vec::new();
    for at in 0..bytes.len() - 4 {
        if bytes[at..].starts_with(b"PK\x01\x02") {
            let two = |from: usize| usize::from(u16::from_le_bytes([bytes[at + from], bytes[at + from + 1]]));
            let name = String::from_utf8(bytes[at + 46..at + 46 + two(28)].to_vec()).unwrap();
            assert_eq!(bytes[at + 5], 3, "{name} is made on Unix");
            assert_eq!((two(12), two(14)), (0, 0x21), "{name} has no time of its own");
            modes.push((name, two(40)));
        }
    }
    let wanted: Vec<_> = whole(&[]).into_iter().map(|(name, _, mode)| (name, 0o100_000 | mode as usize)).collect();
    assert_eq!(modes, wanted);
}

#[test]
fn what_would_not_start_is_not_made_and_says_why() {
    assert_eq!(check(b"PK\x03\x04 rubbish"), Err(vec![Fault::NoZip]));
    assert_eq!(faults(|files| drop(files.remove(0))), ["host.json is missing"]);
    let settings = |files: &mut Vec<_>| files.push(("local.settings.json".to_owned(), b"{}".to_vec(), 0o644));
    assert_eq!(faults(settings), ["local.settings.json does not belong there"]);
    assert_eq!(faults(|files| files[0].1 = b"{}".to_vec()), ["host.json is not what this release has"]);
    let mode = "assay has the mode 644 and not 755, so the host could not start it";
    assert_eq!(faults(|files| files.last_mut().unwrap().2 = 0o644), [mode]);
    let script = |files: &mut Vec<(String, Vec<u8>, u32)>| files.last_mut().unwrap().1 = b"#!/bin/sh\nexec assay\n".to_vec();
    let made_of = "what it is made of (legal/sbom.cdx.json): ";
    assert_eq!(faults(script), ["the program: it is no 64-bit ELF program", &format!("{made_of}it is of another program")]);
    let key = format!("AccountKey={}==;", "Ab1+".repeat(22).split_at(86).0);
    let token = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.";
    let kept = [&format!("-----BEGIN RSA PRIVATE KEY-----\r\n{}\n", "MIIE".repeat(16)), &key, token].concat();
    let with_secrets = |files: &mut Vec<(String, Vec<u8>, u32)>| {
        files.iter_mut().find(|file| file.0 == OWN_LICENSE).unwrap().1.extend(kept.as_bytes());
    };
    let looks_like = |what| format!("{OWN_LICENSE} holds what looks like {what}; take it out, and make it useless where it was valid");
    assert_eq!(faults(with_secrets), ["a private key", "an account's key", "a token"].map(looks_like));
    let arm = |files: &mut Vec<(String, Vec<u8>, u32)>| {
        *files = whole(&{
            let mut program = program();
            program[18] = 183;
            program
        });
    };
    assert_eq!(faults(arm), ["the program: it is for another processor than x86-64"]);
    let unlicensed = |files: &mut Vec<(String, Vec<u8>, u32)>| files.iter_mut().find(|file| file.0 == LICENSES).unwrap().1.clear();
    assert_eq!(faults(unlicensed), [format!("{made_of}the licences of serde 1.0.0 are not there")]);
    let without = |files: &mut Vec<(String, Vec<u8>, u32)>| files.retain(|file| file.0 != SBOM);
    assert_eq!(faults(without), [format!("{SBOM} is missing")]);
    // The last entry of the directory is the program's: made on MS-DOS, and then with another first byte.
    let good = zipped(&program(), &bill(&program())).unwrap();
    let entry = good.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    let mut dos = good.clone();
    dos[entry + 5] = 0;
    let said = |bytes: &[u8]| check(bytes).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(said(&dos), ["assay has the mode 664 and not 755, so the host could not start it"]);
    let mut torn = good.clone();
    torn[entry + 16] ^= 1;
    assert_eq!(said(&torn), ["assay cannot be unpacked (Invalid checksum)"]);
    let both = faults(|files| {
        files.remove(1);
        files.last_mut().unwrap().2 = 0o600;
    });
    assert_eq!(both.len(), 2, "all at once: {both:?}");
}

/// A program that wants this library, and this version of it: its tables of strings, of versions and of what it links to.
fn asking(version: &str, library: &str) -> Vec<u8> {
    let strings = format!("\0{version}\0{library}\0");
    let (version_at, library_at) = (1, 2 + u32::try_from(version.len()).unwrap());
    // Elf64_Verneed and one Elf64_Vernaux; Elf64_Dyn of DT_NEEDED and of the end.
    let versions: Vec<u8> = [0x0001_0001, library_at, 16, 0, 0, 0, version_at, 0].into_iter().flat_map(u32::to_le_bytes).collect();
    let links: Vec<u8> = [1, u64::from(library_at), 0, 0].into_iter().flat_map(u64::to_le_bytes).collect();
    let mut file = program();
    let mut headers = vec![[0_u8; 64]];
    // SHT_STRTAB, SHT_GNU_verneed, SHT_DYNAMIC, with sh_offset, sh_size, sh_link and sh_info.
    for (kind, content, info, size) in [(3_u32, strings.as_bytes(), 0_u32, 0_u64), (0x6fff_fffe, &versions, 1, 0), (6, &links, 0, 16)] {
        let mut header = [0; 64];
        header[4..8].copy_from_slice(&kind.to_le_bytes());
        header[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
        header[40..44].copy_from_slice(&u32::from(kind != 3).to_le_bytes());
        header[44..48].copy_from_slice(&info.to_le_bytes());
        header[56..64].copy_from_slice(&size.to_le_bytes());
        headers.push(header);
        file.extend(content);
        file.resize(file.len().next_multiple_of(8), 0);
    }
    let at = file.len() as u64;
    file[40..48].copy_from_slice(&at.to_le_bytes());
    // e_shentsize, e_shnum, e_shstrndx.
    (file[58], file[60], file[62]) = (64, 4, 1);
    file.extend(headers.concat());
    file
}

#[test]
fn a_program_that_wants_what_the_host_may_not_have_is_refused_by_its_name() {
    let checked = |program: &[u8]| check(&zipped(program, &bill(program)).unwrap());
    let said = |program: &[u8]| checked(program).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>();
    let old = checked(&asking("GLIBC_2.31", "libc.so.6")).unwrap();
    assert_eq!(old.glibc, Some(Glibc { major: 2, minor: 31 }));
    assert!(old.to_string().contains("asks for glibc 2.31 or newer; SHA-256 "), "{old}");
    let link = "the program asks for glibc 2.34, and the host may have 2.31 only: link it for that (README, \u{201c}Package\u{201d})";
    assert_eq!(said(&asking("GLIBC_2.34", "libc.so.6")), [link]);
    let library = "the program wants libssl.so.3, which the host may not have: link it in";
    assert_eq!(said(&asking("OPENSSL_3.0.0", "libssl.so.3")), [library]);
}

/// A folder with what a package wants of zig.
fn zig() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for path in ["LICENSE", "lib/libunwind/LICENSE.TXT", "lib/libc/glibc/LICENSES"] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "a text of zig's").unwrap();
    }
    fs::write(folder.path().join("zig"), "#!/bin/sh\necho 0.17.1\n").unwrap();
    fs::set_permissions(folder.path().join("zig"), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn the_bill_names_what_the_program_is_linked_from_and_nothing_of_the_tests() {
    let (checkout, zig) = (Path::new(env!("CARGO_MANIFEST_DIR")), zig());
    let bill = Bill::of(&program(), checkout, zig.path()).unwrap();
    assert_eq!(bill, Bill::of(&program(), checkout, zig.path()).unwrap(), "the same crates, the same bytes");
    assert!(check(&zipped(&program(), &bill).unwrap()).is_ok());
    let file = |name| &bill.files.iter().find(|(file, _)| *file == name).unwrap().1;
    let (sbom, licenses): (Value, &String) = (serde_json::from_str(file(SBOM)).unwrap(), file(LICENSES));
    let scope = |name: &str| {
        let found = sbom["components"].as_array().unwrap().iter().find(|component| component["name"] == name)?;
        found["scope"].as_str().map(str::to_owned)
    };
    let library = if cfg!(feature = "fips") { "aws-lc-fips-sys" } else { "aws-lc-sys" };
    let cryptography = if cfg!(feature = "fips") { "fips" } else { "default" };
    let said = json!([{ "name": "assay:cryptography", "value": cryptography }]);
    assert_eq!(sbom["metadata"]["component"]["properties"], said, "infra/offer --fips looks at it");
    for linked in ["tokio", "reqwest", library, "rust-std", "zig-libunwind", "zig-compiler-rt", "zig-glibc-start-files"] {
        assert_eq!(scope(linked).as_deref(), Some("required"), "{linked}");
        assert!(licenses.lines().any(|line| line.starts_with(&format!("{linked} "))), "{linked}");
    }
    for builds in ["serde_derive", "syn", "cc"] {
        assert_eq!(scope(builds).as_deref(), Some("excluded"), "{builds}");
        assert!(!licenses.lines().any(|line| line.starts_with(&format!("{builds} "))), "{builds}");
    }
    for test in ["stateright", "insta", "proptest", "rcgen", "tempfile"] {
        assert_eq!(scope(test), None, "{test}");
    }
    let lock = fs::read_to_string(checkout.join("Cargo.lock")).unwrap();
    let hashes = sbom["components"].as_array().unwrap().iter().filter_map(|part| part.pointer("/hashes/0/content"));
    assert!(hashes.map(|hash| hash.as_str().unwrap()).all(|hash| lock.contains(&format!("checksum = \"{hash}\""))));
    let here = checkout.to_str().unwrap();
    assert!(bill.files.iter().all(|(_, text)| !text.contains(here)), "nothing of this machine");
}

#[test]
fn a_checkout_with_other_crates_cannot_say_what_the_program_is_made_of() {
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("Cargo.lock"), "version = 4\n").unwrap();
    let refused = Bill::of(&program(), other.path(), zig().path()).unwrap_err();
    assert!(matches!(&refused, BillError::OtherLock(path) if path == &other.path().join("Cargo.lock")), "{refused}");
    assert!(refused.to_string().ends_with("package it in the checkout that it was built in, or build it anew"), "{refused}");
}
