//! `infra/sign-in`, run as a person runs it, with an `az` that knows one installation, its settings and a directory, and
//! refuses every command and every query that the script has no reason to give: also `ad app create`, which takes over
//! whatever has the name already. What a query makes of a registration's JSON it answers from files, one for each thing.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::file;

const HOME: &str = "11111111-2222-4333-8444-555555555555";
const PARTNER: &str = "22222222-3333-4444-8555-666666666666";
const OWNER: &str = "33333333-4444-4555-8666-777777777777";
const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";
const REDIRECT: &str = "https://assay-abc.azurewebsites.net/api/portal/signed-in";
const TRUST: &str =
    "https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/v2.0 principal-of-app api://AzureADTokenExchange";

/// Settings are lines of a file beside it; of a name that is there twice the last counts. `fails` is a command that fails.
const AZ: &str = r#"#!/usr/bin/env bash
set -eu
here=$(dirname "$0")
refuse() { echo "az: not expected: $1" >&2; exit 64; }
if [ -e "$here/fails" ] && [[ "$*" = "$(cat "$here/fails")"* ]]; then echo "az: fails" >&2; exit 1; fi
all="$*"
case $all in *"--filter "*\'*) id=${all#*--filter *\'}; id=${id%%\'*} ;; *) id= ;; esac
query= body= uris=()
for ((i = 1; i <= $#; i++)); do
  next=$((i + 1))
  case ${!i} in --id) id=${!next} ;; --query) query=${!next} ;; --parameters | --body) body=${!next} ;; esac
done
mine=$here/apps/$id
known() { [ -n "$id" ] && [ -d "$mine" ] || { echo "az: no application $id" >&2; exit 3; }; }
# Lines `name id`, as the query has them: without who is signed in.
others() { known; sed -n "/ me$/!s/^/$1 /p" "$mine/$2"; }
case $all in
  "deployment group show "*assay-identity*) echo principal-of-app ;;
  "deployment group show "*assay-app-settings*) echo assay-abc.azurewebsites.net ;;
  "functionapp list "*) echo assay-abc ;;
  "account show "*) echo "$DIRECTORY" ;;
  "cloud show "*) echo "$CLOUD" ;;
  "consumption budget show "*) echo 2026-11-01T00:00:00Z ;;
  "functionapp config appsettings list "*)
    [[ "$all" =~ name==\'([A-Z_]+)\' ]] && sed -n "s/^${BASH_REMATCH[1]}=//p" "$here/settings" | tail -n 1 ;;
  "functionapp config appsettings set "*)
    while [ "$1" != --settings ]; do shift; done
    shift
    printf '%s\n' "$@" >>"$here/settings" ;;
  "ad signed-in-user show "*) echo me ;;
  "rest --method post --url $GRAPH/v1.0/applications "*)
    id=00000000-0000-4000-8000-00000000000$(($(ls "$here/apps" | wc -l) + 1)) mine=$here/apps/$id
    mkdir "$mine"
    for part in redirects roles claims credentials owners sp-credentials sp-owners trust holders; do : >"$mine/$part"; done
    sed 's/.*"displayName": "\([^"]*\)".*/\1/' <<<"$body" >"$mine/name"
    sed 's/.*"signInAudience": "\([^"]*\)".*/\1/' <<<"$body" >"$mine/audience"
    echo "Ann me" >"$mine/owners"
    echo "$id" ;;
  "rest --url $GRAPH/v1.0/servicePrincipals/"*/appRoleAssignedTo*)
    [[ "$all" =~ servicePrincipals/sp-of-([0-9-]+)/ ]] && cat "$here/apps/${BASH_REMATCH[1]}/holders" ;;
  "ad app list "*) grep -lsFx "$id" "$here"/apps/*/name | sed 's|.*/apps/\(.*\)/name|\1 of 2026-11-27T00:00:00Z|' || true ;;
  "ad app owner list "*) others 'owner of the registration:' owners ;;
  "ad sp owner list "*) others 'owner of the enterprise application:' sp-owners ;;
  "ad app show "*)
    known
    case $query in
      '' | appId) echo "$id" ;;
      *passwordCredentials*keyCredentials*) cat "$mine/credentials" ;;
      'web.redirectUris[]') cat "$mine/redirects" ;;
      signInAudience) cat "$mine/audience" ;;
      *optionalClaims.idToken*) sort "$mine/claims" | paste -sd ' ' ;;
      'length(appRoles'*) grep -cx Owner "$mine/roles" || true ;;
      "[appRoles[?value!='Owner']"*) { grep -vx Owner "$mine/roles" || true; echo Owner; } | sed 's/.*/"value": "&"/' ;;
      "appRoles[?value=='Owner'].id"*) echo role ;;
      *) refuse "$all" ;;
    esac ;;
  "ad sp show "*passwordCredentials*keyCredentials*) known; cat "$mine/sp-credentials" ;;
  "ad sp list "*) [ ! -e "$mine/principal" ] || echo "sp-of-$id" ;;
  "ad sp create "*) known; : >"$mine/principal"; echo "sp-of-$id" ;;
  "ad app update "*)
    known
    shift 5
    while [ $# -gt 0 ]; do
      case $1 in
        --web-redirect-uris)
          : >"$mine/redirects"
          while [ $# -gt 1 ] && [[ "$2" != --* ]]; do echo "$2" >>"$mine/redirects"; shift; done ;;
        --sign-in-audience) echo "$2" >"$mine/audience"; shift ;;
        --optional-claims) grep -o '"name": "[a-z_]*"' "${2#@}" | cut -d '"' -f 4 >"$mine/claims"; shift ;;
        --app-roles) sed 's/.*"value": "\(.*\)"/\1/' "${2#@}" >"$mine/roles"; shift ;;
        *) refuse "$all" ;;
      esac
      shift
    done ;;
  "ad app federated-credential list "*)
    known
    [[ "$query" =~ issuer==\'([^\']*)\'\ \&\&\ subject==\'([^\']*)\'\ \&\&\ audiences\[0\]==\'([^\']*)\' ]] || refuse "$all"
    ours="${BASH_REMATCH[1]} ${BASH_REMATCH[2]} ${BASH_REMATCH[3]}"
    case $query in
      'length([?issuer'*) grep -cFx "$ours" "$mine/trust" || true ;;
      '[?!(issuer'*) grep -vFx "$ours" "$mine/trust" | sed 's/^/trusts another identity: /' || true ;;
      *) refuse "$all" ;;
    esac ;;
  "ad app federated-credential create "*)
    known
    sed 's/.*"issuer": "\(.*\)", "subject": "\(.*\)", "audiences": \["\(.*\)"\].*/\1 \2 \3/' "${body#@}" >>"$mine/trust" ;;
  "ad app permission grant "*) known; : >"$mine/consent" ;;
  *) refuse "$all" ;;
esac
"#;

struct Installation {
    folder: tempfile::TempDir,
    cloud: &'static str,
    graph: &'static str,
}

impl Installation {
    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("settings"), settings).unwrap();
        fs::create_dir(folder.path().join("apps")).unwrap();
        let az = folder.path().join("az");
        fs::write(&az, AZ).unwrap();
        fs::set_permissions(az, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, cloud: "AzureCloud", graph: "https://graph.microsoft.com" }
    }

    /// As a deployment without a registration leaves it.
    fn new() -> Self {
        Self::with(&format!("ASSAY_SIGN_IN=none\nASSAY_ENTRA_TENANTS={HOME}\nASSAY_PUBLIC_URL=https://assay-abc.azurewebsites.net\n"))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, directory: &str, more: &[&str]) -> Output {
        let mut script = Command::new("bash");
        script.args(["-c", r#"PATH=$1:$PATH exec "${@:2}" "#, "bash"]).arg(self.path()).arg(file("sign-in")).arg("mine").args(more);
        script.env("DIRECTORY", directory).env("CLOUD", self.cloud).env("GRAPH", self.graph).output().unwrap()
    }

    /// What it says when it comes through.
    fn told(&self, more: &[&str]) -> String {
        let done = self.run(HOME, more);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// What it says when it stops.
    fn refused(&self, more: &[&str]) -> String {
        let done = self.run(HOME, more);
        assert_eq!(done.status.code(), Some(1), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stderr).unwrap()
    }

    /// What it prints for the parameter file.
    fn sign_in(&self, directory: &str, more: &[&str]) -> Vec<String> {
        let done = self.run(directory, more);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().lines().filter(|line| line.starts_with("param ")).map(str::to_owned).collect()
    }

    fn setting(&self, name: &str) -> Option<String> {
        let all = fs::read_to_string(self.path().join("settings")).unwrap();
        all.lines().filter_map(|line| line.strip_prefix(&format!("{name}="))).next_back().map(str::to_owned)
    }

    fn set(&self, name: &str, value: &str) {
        let all = fs::read_to_string(self.path().join("settings")).unwrap();
        fs::write(self.path().join("settings"), format!("{all}{name}={value}\n")).unwrap();
    }

    /// Somebody makes a registration by hand.
    fn registers(&self, id: &str, owner: &str) {
        fs::create_dir(self.of(id, "")).unwrap();
        for part in ["redirects", "roles", "claims", "credentials", "owners", "sp-credentials", "sp-owners", "trust", "holders"] {
            fs::write(self.of(id, part), "").unwrap();
        }
        fs::write(self.of(id, "name"), "Assay assay-abc\n").unwrap();
        fs::write(self.of(id, "audience"), "AzureADMyOrg\n").unwrap();
        fs::write(self.of(id, "owners"), owner).unwrap();
    }

    fn of(&self, id: &str, part: &str) -> PathBuf {
        self.path().join("apps").join(id).join(part)
    }

    /// All of a registration, by what there is to it.
    fn registration(&self, id: &str) -> BTreeMap<String, Vec<String>> {
        let parts = fs::read_dir(self.of(id, "")).unwrap().map(|part| part.unwrap().file_name().into_string().unwrap());
        parts.map(|part| (part.clone(), fs::read_to_string(self.of(id, &part)).unwrap().lines().map(str::to_owned).collect())).collect()
    }

    fn registrations(&self) -> usize {
        fs::read_dir(self.path().join("apps")).unwrap().count()
    }
}

/// One that is whole and in nobody's hands but of who ran it.
fn whole(trust: &str, more: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let parts: [(&str, &[&str]); 13] = [
        ("name", &["Assay assay-abc"]),
        ("redirects", &[REDIRECT]),
        ("audience", &["AzureADMyOrg"]),
        ("claims", &["acct", "auth_time", "acrs"]),
        ("roles", &["Owner"]),
        ("owners", &["Ann me"]),
        ("credentials", &[]),
        ("sp-owners", &[]),
        ("sp-credentials", &[]),
        ("trust", &[trust]),
        ("principal", &[]),
        ("holders", &[]),
        ("consent", &[]),
    ];
    let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    parts.iter().chain(more).map(|&(part, all)| (part.to_owned(), lines(all))).collect()
}

#[test]
fn infra_sign_in_makes_all_of_it_the_first_time_and_changes_nothing_the_second() {
    let government = Installation { cloud: "AzureUSGovernment", graph: "https://graph.microsoft.us", ..Installation::new() };
    let there = TRUST.replace("login.microsoftonline.com", "login.microsoftonline.us") + "USGov";
    for (mine, trust) in [(Installation::new(), TRUST), (government, there.as_str())] {
        let first = mine.told(&[]);
        assert!(first.contains(&format!("registered Assay assay-abc as {FIRST}")), "{first}");
        assert_eq!(mine.registration(FIRST), whole(trust, &[]));
        assert_eq!(mine.setting("ASSAY_ENTRA_CLIENT_ID").as_deref(), Some(FIRST));
        assert_eq!(mine.setting("ASSAY_SIGN_IN").as_deref(), Some("entra"));

        let second = mine.told(&[]);
        assert!(!["registered", " set ", "made", "trusts"].iter().any(|word| second.contains(word)), "{second}");
        assert_eq!((mine.registrations(), mine.registration(FIRST)), (1, whole(trust, &[])));
    }
}

#[test]
fn infra_sign_in_stopped_anywhere_goes_on_with_the_registration_that_it_made() {
    for step in [
        "ad app update",
        "ad sp create",
        "ad app federated-credential create",
        "functionapp config appsettings set -g mine -n assay-abc --settings ASSAY_SIGN_IN",
    ] {
        let mine = Installation::new();
        fs::write(mine.path().join("fails"), step).unwrap();
        assert!(!mine.run(HOME, &[]).status.success(), "{step}");
        fs::remove_file(mine.path().join("fails")).unwrap();
        mine.told(&[]);
        assert_eq!((mine.registrations(), mine.registration(FIRST)), (1, whole(TRUST, &[])), "{step}");
    }
}

#[test]
fn infra_sign_in_takes_the_registration_that_was_typed_in_the_portal_and_completes_it() {
    let mine = Installation::new();
    mine.registers(FIRST, "Somebody else\n");
    mine.registers(SECOND, "Ann me\n");
    mine.set("ASSAY_ENTRA_CLIENT_ID", SECOND);
    mine.set("ASSAY_SIGN_IN", "entra");
    let lines = mine.sign_in(HOME, &[]);
    assert_eq!(lines[0], format!("param entraClientId = '{SECOND}'"));
    assert_eq!((mine.registrations(), mine.registration(SECOND)), (2, whole(TRUST, &[])));

    // One that is not in this directory is not replaced by another.
    mine.set("ASSAY_ENTRA_CLIENT_ID", OWNER);
    let told = mine.refused(&[]);
    assert!(told.contains("no such registration") && told.contains(HOME), "{told}");
    assert_eq!((mine.registrations(), mine.setting("ASSAY_ENTRA_CLIENT_ID").as_deref()), (2, Some(OWNER)));
}

#[test]
fn infra_sign_in_takes_nothing_because_of_its_name() {
    let mine = Installation::new();
    mine.registers(FIRST, "Stranger stranger\n");
    let before = mine.registration(FIRST);
    let told = mine.refused(&[]);
    assert!(told.contains(FIRST) && told.contains("--application new"), "{told}");
    assert_eq!((mine.registrations(), mine.setting("ASSAY_ENTRA_CLIENT_ID")), (1, None));

    // Also when somebody says that it is theirs, which it is not.
    let told = mine.refused(&["--application", FIRST]);
    assert!(told.contains("owner of the registration: Stranger stranger"), "{told}");
    assert_eq!((mine.registration(FIRST), mine.setting("ASSAY_ENTRA_CLIENT_ID")), (before.clone(), None));

    mine.told(&["--application", "new"]);
    assert_eq!((mine.registration(FIRST), mine.registration(SECOND)), (before, whole(TRUST, &[])));
    assert_eq!(mine.setting("ASSAY_ENTRA_CLIENT_ID").as_deref(), Some(SECOND));
}

#[test]
fn infra_sign_in_stops_at_whoever_else_has_a_hold_on_the_registration() {
    let elsewhere = TRUST.replace("https://login.microsoftonline.com", "https://example.net");
    let other = TRUST.replace("principal-of-app", "principal-of-another");
    for (part, line) in [
        ("owners", "Second owner"),
        ("sp-owners", "Second owner"),
        ("credentials", "secret of the registration: unnamed 1"),
        ("sp-credentials", "certificate of the enterprise application: unnamed 1"),
        ("trust", &elsewhere),
        ("trust", &other),
    ] {
        let mine = Installation::new();
        mine.told(&[]);
        let there = fs::read_to_string(mine.of(FIRST, part)).unwrap();
        fs::write(mine.of(FIRST, part), format!("{there}{line}\n")).unwrap();
        fs::write(mine.of(FIRST, "redirects"), "").unwrap();
        let (before, settings) = (mine.registration(FIRST), fs::read_to_string(mine.path().join("settings")).unwrap());
        let told = mine.refused(&["--owner", OWNER]);
        assert!(told.contains(line) && told.contains("--trust-others"), "{part}: {told}");
        assert_eq!(mine.registration(FIRST), before, "{part}");
        assert_eq!(fs::read_to_string(mine.path().join("settings")).unwrap(), settings, "{part}");

        let told = mine.told(&["--trust-others"]);
        assert!(told.contains(line), "{part}: {told}");
        assert_eq!(mine.registration(FIRST)["redirects"], [REDIRECT], "{part}");
    }
}

#[test]
fn infra_sign_in_changes_nothing_where_it_cannot_see_who_has_a_hold() {
    for look in ["ad app owner list", "ad sp owner list", "ad sp show", "ad app federated-credential list"] {
        let mine = Installation::new();
        mine.told(&[]);
        fs::write(mine.of(FIRST, "redirects"), "").unwrap();
        let before = mine.registration(FIRST);
        fs::write(mine.path().join("fails"), look).unwrap();
        assert!(!mine.run(HOME, &[]).status.success(), "{look}");
        assert_eq!(mine.registration(FIRST), before, "{look}");
    }
}

#[test]
fn infra_sign_in_mends_what_differs_says_so_and_keeps_what_is_there_besides() {
    let mine = Installation::new();
    mine.told(&[]);
    fs::write(mine.of(FIRST, "redirects"), "https://assay.example.org/api/portal/signed-in\n").unwrap();
    fs::write(mine.of(FIRST, "claims"), "acct\nauth_time\nacrs\ngroups\n").unwrap();
    fs::write(mine.of(FIRST, "roles"), "Reader\n").unwrap();
    fs::write(mine.of(FIRST, "holders"), "Bo, Cy\n").unwrap();
    fs::write(mine.of(FIRST, "trust"), "").unwrap();
    mine.set("ASSAY_PUBLIC_URL", "https://Assay.example.net/");
    mine.set("ASSAY_ENTRA_TENANTS", &format!("{HOME},{PARTNER}"));
    let told = mine.told(&[]);
    let own = "https://assay.example.net/api/portal/signed-in";
    for line in [
        "further redirect URI stays: https://assay.example.org/api/portal/signed-in",
        &format!("set redirect URI {REDIRECT}"),
        &format!("set redirect URI {own}"),
        "set sign-in audience AzureADMultipleOrgs",
        "set claims acct, auth_time, acrs and no other",
        "set role Owner",
        "it trusts the app's identity",
        "by the role Owner these own Assay: Bo, Cy",
    ] {
        assert!(told.lines().any(|one| one == format!("infra/sign-in: {line}")), "{line}\n{told}");
    }
    let mended: &[(&str, &[&str])] = &[
        ("redirects", &["https://assay.example.org/api/portal/signed-in", REDIRECT, own]),
        ("audience", &["AzureADMultipleOrgs"]),
        ("roles", &["Reader", "Owner"]),
        ("holders", &["Bo, Cy"]),
    ];
    assert_eq!(mine.registration(FIRST), whole(TRUST, mended));

    // A single address is nothing to mend for the rest, and a directory that was let go shuts the registration again.
    mine.set("ASSAY_ENTRA_TENANTS", HOME);
    let told = mine.told(&[]);
    assert!(told.contains("set sign-in audience AzureADMyOrg") && told.matches(" set ").count() == 1, "{told}");
}

#[test]
fn infra_sign_in_run_again_keeps_the_owner_and_every_directory_that_was_let_in() {
    let mine = Installation::with(&format!("ASSAY_SIGN_IN=none\nASSAY_ENTRA_TENANTS={HOME}\nASSAY_ENTRA_OWNER=\nASSAY_METERING_PLAN=\n"));
    let first = mine.sign_in(HOME, &["--owner", OWNER]);
    let owner = format!("param ownerObjectId = '{OWNER}'");
    let lines = |id: &str, directories: &str| {
        let directories = format!("param entraDirectories = [{directories}]");
        [format!("param entraClientId = '{id}'"), directories, owner.clone(), "param budgetStart = '2026-11-01'".to_owned()]
    };
    assert_eq!(first, lines(FIRST, &format!("'{HOME}'")));
    assert_eq!(mine.setting("ASSAY_SIGN_IN").as_deref(), Some("entra"));
    assert_eq!(mine.setting("ASSAY_ENTRA_TENANTS").as_deref(), Some(HOME));

    // A deployment has let another directory in; then somebody mends the registration.
    fs::write(mine.path().join("settings"), format!("ASSAY_ENTRA_TENANTS={HOME},{PARTNER}\nASSAY_ENTRA_OWNER={OWNER}\n")).unwrap();
    mine.set("ASSAY_ENTRA_CLIENT_ID", FIRST);
    assert_eq!(mine.sign_in(HOME, &[]), lines(FIRST, &format!("'{HOME}', '{PARTNER}'")), "nobody who could sign in is shut out");
    assert_eq!(mine.setting("ASSAY_ENTRA_TENANTS"), Some(format!("{HOME},{PARTNER}")));
    assert_eq!(mine.setting("ASSAY_ENTRA_OWNER").as_deref(), Some(OWNER));

    // A new one in another directory: that is the first then.
    assert_eq!(mine.sign_in(PARTNER, &["--application", "new"]), lines(SECOND, &format!("'{PARTNER}', '{HOME}'")));
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
