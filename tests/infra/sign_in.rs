//! `infra/sign-in`, run as a person runs it, with an `az` that knows one installation and its settings and refuses every
//! command that the script has no reason to give.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use super::file;

const HOME: &str = "11111111-2222-4333-8444-555555555555";
const PARTNER: &str = "22222222-3333-4444-8555-666666666666";
const OWNER: &str = "33333333-4444-4555-8666-777777777777";

/// Settings are lines of a file beside it; of a name that is there twice the last counts.
const AZ: &str = r#"#!/usr/bin/env bash
settings=$(dirname "$0")/settings
case "$*" in
  "deployment group show "*assay-identity*) echo principal ;;
  "deployment group show "*assay-app-settings*) echo assay-abc.azurewebsites.net ;;
  "functionapp list "*) echo assay-abc ;;
  "account show "*) echo "$DIRECTORY" ;;
  "cloud show "*) echo AzureCloud ;;
  "ad app list "*) echo application ;;
  "ad sp show "* | "ad app permission grant "*) ;;
  "ad app federated-credential list "*) echo 1 ;;
  "consumption budget show "*) echo 2026-11-01T00:00:00Z ;;
  "functionapp config appsettings list "*)
    [[ "$*" =~ name==\'([A-Z_]+)\' ]] && sed -n "s/^${BASH_REMATCH[1]}=//p" "$settings" | tail -n 1 ;;
  "functionapp config appsettings set "*)
    while [ "$1" != --settings ]; do shift; done
    shift
    printf '%s\n' "$@" >>"$settings" ;;
  *) echo "az: not expected: $*" >&2; exit 64 ;;
esac
"#;

struct Installation(tempfile::TempDir);

impl Installation {
    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("settings"), settings).unwrap();
        let az = folder.path().join("az");
        fs::write(&az, AZ).unwrap();
        fs::set_permissions(az, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// What it prints for the parameter file.
    fn sign_in(&self, directory: &str, more: &[&str]) -> Vec<String> {
        let mut script = Command::new("bash");
        script.args(["-c", r#"PATH=$1:$PATH exec "${@:2}" "#, "bash"]).arg(self.path()).arg(file("sign-in")).arg("mine").args(more);
        let done = script.env("DIRECTORY", directory).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().lines().filter(|line| line.starts_with("param ")).map(str::to_owned).collect()
    }

    fn setting(&self, name: &str) -> Option<String> {
        let all = fs::read_to_string(self.path().join("settings")).unwrap();
        all.lines().filter_map(|line| line.strip_prefix(&format!("{name}="))).next_back().map(str::to_owned)
    }
}

#[test]
fn infra_sign_in_run_again_keeps_the_owner_and_every_directory_that_was_let_in() {
    let mine = Installation::with(&format!("ASSAY_SIGN_IN=none\nASSAY_ENTRA_TENANTS={HOME}\nASSAY_ENTRA_OWNER=\nASSAY_METERING_PLAN=\n"));
    let first = mine.sign_in(HOME, &["--owner", OWNER]);
    let owner = format!("param ownerObjectId = '{OWNER}'");
    let lines = |directories: &str| {
        let directories = format!("param entraDirectories = [{directories}]");
        ["param entraClientId = 'application'".to_owned(), directories, owner.clone(), "param budgetStart = '2026-11-01'".to_owned()]
    };
    assert_eq!(first, lines(&format!("'{HOME}'")));
    assert_eq!(mine.setting("ASSAY_SIGN_IN").as_deref(), Some("entra"));
    assert_eq!(mine.setting("ASSAY_ENTRA_TENANTS").as_deref(), Some(HOME));

    // A deployment has let another directory in; then somebody mends the registration.
    fs::write(mine.path().join("settings"), format!("ASSAY_ENTRA_TENANTS={HOME},{PARTNER}\nASSAY_ENTRA_OWNER={OWNER}\n")).unwrap();
    assert_eq!(mine.sign_in(HOME, &[]), lines(&format!("'{HOME}', '{PARTNER}'")), "nobody who could sign in is shut out");
    assert_eq!(mine.setting("ASSAY_ENTRA_TENANTS"), Some(format!("{HOME},{PARTNER}")));
    assert_eq!(mine.setting("ASSAY_ENTRA_OWNER").as_deref(), Some(OWNER));

    // Run in another directory, the registration is of that one, which then is the first.
    assert_eq!(mine.sign_in(PARTNER, &[]), lines(&format!("'{PARTNER}', '{HOME}'")));
}

#[test]
fn infra_sign_in_prints_the_plan_that_is_billed_by_the_month_so_that_no_deployment_turns_it_off() {
    let metered = "ASSAY_METERING_PLAN=by-client\nASSAY_METERING_DIMENSION=tenants\nASSAY_METERING_INCLUDED=3\n";
    let lines = Installation::with(metered).sign_in(HOME, &[]);
    let metering: Vec<_> = lines.iter().filter(|line| line.starts_with("param metering")).collect();
    assert_eq!(metering, ["param meteringPlan = 'by-client'", "param meteringDimension = 'tenants'", "param meteringIncluded = 3"]);

    let unmetered = "ASSAY_METERING_PLAN=\nASSAY_METERING_DIMENSION=clients\nASSAY_METERING_INCLUDED=0\n";
    assert!(!Installation::with(unmetered).sign_in(HOME, &[]).iter().any(|line| line.contains("metering")), "nothing is billed by use");
}
